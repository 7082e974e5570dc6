"""boto3 against a seeded server, which `LESTRADE_FACTS` describes: one subject after the other, each with a line on what was tried.

With names of subjects, those alone: `python main.py pages findings`.
"""

import sys
import time
from pathlib import Path

# The table of requests, which other clients have too.
sys.path.append(str(Path(__file__).parents[1]))

import anything
import coverage
import errors
import findings
import operations
import pages
import reports
import terraform

SUBJECTS = {module.__name__: module for module in (operations, pages, findings, coverage, reports, terraform, errors, anything)}

for name in sys.argv[1:] or SUBJECTS:
    start = time.monotonic()
    tried = SUBJECTS[name].run()
    print(f"{name}: {tried} ({time.monotonic() - start:.1f} s)", flush=True)
