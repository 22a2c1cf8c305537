"""Patches that look like tissue stained with haematoxylin and eosin, and what is planted in them.

A stand-in for Camelyon17 in the layout of WILDS, for tests and for trying out: five centres whose
stain, sharpness and scanner differ, lymph node with and without tumour growth, exact masks of
nuclei and artifacts. It is no tissue, and nothing that is found on it is a result about tissue.
"""
