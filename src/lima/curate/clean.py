"""The cleaner under the name by which scripts import it; it lives in `lima.curate.text.clean`."""

from lima.curate.text.clean import Cleaned, clean

__all__ = ["Cleaned", "clean"]
