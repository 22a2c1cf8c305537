"""What figures are drawn with: forests of intervals, grids of pictures, layered graphs."""
