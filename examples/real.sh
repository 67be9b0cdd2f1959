#!/usr/bin/env bash
# The whole path on real input: curate dumps, import the released LIMA set, tune a small real model on it,
# answer its 300 test prompts before and after, compare, judge, report.
#
#   LIMA_DATA=/path/to/data examples/real.sh [OUT]
#
# LIMA_DATA holds stackexchange/*/Posts.xml, lima/{train,test}.jsonl and models/stories260k. The judge is the test
# server of examples/rule_judge.py, which prefers the longer answer: a check of the plumbing, no evidence of quality.
# The model has 260,000 parameters and 512 positions: expect its style to move, not its sense. Run again, it resumes.
set -euo pipefail

DATA=${LIMA_DATA:?"set LIMA_DATA to the folder of real data"}
OUT=${1:-runs/real}
HERE=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-$HERE/../.venv/bin/python}
EPOCHS=${EPOCHS:-2}
STEPS=${STEPS:-} # fewer optimiser steps than the epochs have, for a quick look
lima() { "$PYTHON" -m lima "$@"; }
mkdir -p "$OUT"

echo "== curate the dumps =="
for site in beer_2017 matheducators_2014; do
  lima curate stackexchange --input "$DATA/stackexchange/$site" --out "$OUT/curated/$site"
done
# Meta sites speak of the site itself, so the paper's rules drop nearly all of them: they are read with the others.
lima curate stackexchange --input "$DATA/stackexchange" --include-meta --out "$OUT/curated/with_meta"

echo "== import the released set =="
lima import lima "$DATA/lima/train.jsonl" --out "$OUT/train.jsonl"
lima import lima "$DATA/lima/test.jsonl" --out "$OUT/test.jsonl"

echo "== tune =="
# 42 of the 1,030 prompts fill the 512 positions of this model: they are named in tuned/rejects.jsonl.
lima train "$DATA/models/stories260k" "$OUT/train.jsonl" --out "$OUT/tuned" \
  --epochs "$EPOCHS" ${STEPS:+--steps "$STEPS"} --learning-rate 1e-3 --max-length 512 --keep-eot

echo "== answer the test prompts =="
lima generate "$DATA/models/stories260k" "$OUT/test.jsonl" --name base --max-new-tokens 64 --out "$OUT/base.jsonl"
lima generate "$OUT/tuned/$(printf 'epoch-%02d' "$EPOCHS")" "$OUT/test.jsonl" --name tuned --max-new-tokens 64 \
  --out "$OUT/answers.jsonl"

echo "== compare and judge =="
lima compare "$OUT/answers.jsonl" "$OUT/base.jsonl" --out "$OUT/study"
"$PYTHON" "$HERE/rule_judge.py" --port 0 --bias 0.1 --rate-limit 0.05 --garbage 0.02 >"$OUT/judge.txt" &
JUDGE=$!
trap 'kill "$JUDGE" 2>/dev/null || true' EXIT
until URL=$(head -n 1 "$OUT/judge.txt") && [ -n "$URL" ]; do sleep 0.2; done
# The port is new each time, the judge is not: --moved says so.
lima judge "$OUT/study" --task pairwise --judge "$URL" --moved
lima judge "$OUT/study" --task helpfulness --judge "$URL" --moved

echo "== report =="
lima report "$OUT/study"
