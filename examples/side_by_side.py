"""Print the first answers of two systems to the same prompts, one below the other.

python examples/side_by_side.py data/test.jsonl base.jsonl tuned.jsonl [COUNT]
"""

import sys
from itertools import islice
from pathlib import Path

from lima.files import read_jsonl
from lima.records import Completion, Example

prompts, *files = map(Path, sys.argv[1:4])
count = int(sys.argv[4]) if len(sys.argv) > 4 else 3
answers = {file.stem: {row.prompt_id: row.content for row in read_jsonl(file, Completion)} for file in files}
for prompt in islice(read_jsonl(prompts, Example), count):
    print(f"asked  {prompt.messages[-1].content}")
    for system, given in answers.items():
        print(f"{system:<6} {given.get(prompt.id, '(no answer)')}")
    print()
