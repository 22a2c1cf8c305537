"""Tables for people: sheets of single tables, and tables of papers."""

from xattn.figures.tables.cells import Cell, Head, Sheet
from xattn.figures.tables.save import save_tables
from xattn.figures.tables.sheets import MOST_ROWS, make_sheet

__all__ = ["MOST_ROWS", "Cell", "Head", "Sheet", "make_sheet", "save_tables"]
