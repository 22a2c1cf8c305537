"""Attribution and attention maps of trained models."""
