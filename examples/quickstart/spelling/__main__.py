"""`python -m spelling WORD FILE`: print the words of FILE nearest to WORD."""

import sys
from pathlib import Path

from spelling import suggest

if __name__ == "__main__":
    _, word, file = sys.argv
    print("\n".join(suggest(word, Path(file).read_text(encoding="utf-8").split())))
