"""`python -m xattn`."""

import sys

from xattn.cli import main

sys.exit(main())
