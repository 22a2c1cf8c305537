"""The figures, a module each; `xattn.figures.registry` lists them."""
