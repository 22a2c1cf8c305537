"""What figures are drawn with: forests of intervals, grids of images, layered graphs."""
