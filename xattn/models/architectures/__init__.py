"""Networks that are built by name: the study's own, and those of timm and torchvision."""
