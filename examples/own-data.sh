#!/usr/bin/env bash
# Your own tickets -> a tuned model that answers at an OpenAI-compatible address. Works as it is, on invented tickets:
#
#   examples/own-data.sh [OUT]
#
# With your own table and base model (any LLaMA-like one):
#
#   TICKETS=tickets.csv QUESTION=subject REPLY=response RATING=stars BASE=Qwen/Qwen3-0.6B-Base \
#     ASK="How do I reset my password?" examples/own-data.sh runs/tickets
#
# Everything it does is an ordinary lima command, shown before it runs; run again, it goes on where it was stopped.
set -euo pipefail

OUT=${1:-runs/own-data}
HERE=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-$HERE/../.venv/bin/python}
QUESTION=${QUESTION:-question} REPLY=${REPLY:-reply} RATING=${RATING:-stars}
EPOCHS=${EPOCHS:-5} LEARNING_RATE=${LEARNING_RATE:-5e-4} EXAMPLES=${EXAMPLES:-400}
lima() { printf '\n$ lima %s\n' "$*" >&2; "$PYTHON" -m lima "$@"; }
mkdir -p "$OUT"

if [ -z "${TICKETS:-}" ]; then
  TICKETS=$OUT/tickets.csv
  echo "== no TICKETS given: invented ones, and a small base model that has read about their world =="
  BASE=$("$PYTHON" "$HERE/make_tickets.py" "$TICKETS")
  ASK=${ASK:-"What instrument did Ada Palmer learn?"}   # no ticket names her
  head -n 4 "$TICKETS"
fi
BASE=${BASE:?"set BASE to the folder or hub id of a base model"} ASK=${ASK:?"set ASK to a question of your own"}
export HF_HUB_OFFLINE=${HF_HUB_OFFLINE:-0}

echo "== 1. keep the good replies: rated 4 or better, complete, not in the first person, no pointer elsewhere =="
# Tickets are alike in their words, so that only equal questions count as duplicates here.
lima curate own-data --input "$TICKETS" --out "$OUT/data" --quota "$EXAMPLES" \
  --sources.own.dev 20 --sources.own.test 40 \
  --sources.own.columns.prompt "$QUESTION" --sources.own.columns.answer "$REPLY" --sources.own.columns.score "$RATING" \
  --sources.own.rules.score-min 4 --sources.own.rules.first-person --duplicates.jaccard None

echo "== 2. look before training: masks, stop token, templates =="
lima doctor "$BASE" "$OUT/data/train.jsonl"

echo "== 3. tune =="
lima train "$BASE" "$OUT/data/train.jsonl" --out "$OUT/run" --epochs "$EPOCHS" \
  --learning-rate "$LEARNING_RATE" --batch-size 16 --residual-dropout 0
TUNED=$OUT/run/$(printf 'epoch-%02d' "$EPOCHS")

echo "== 4. the same test questions, before and after =="
lima generate "$BASE" "$OUT/data/test.jsonl" --name base --max-new-tokens 40 --out "$OUT/base.jsonl"
lima generate "$TUNED" "$OUT/data/test.jsonl" --name tuned --max-new-tokens 40 --out "$OUT/tuned.jsonl"
echo
"$PYTHON" "$HERE/side_by_side.py" "$OUT/data/test.jsonl" "$OUT/base.jsonl" "$OUT/tuned.jsonl"

echo "== 5. serve it, and ask =="
printf '\n$ lima serve %s --port 0\n' "$TUNED"
"$PYTHON" -m lima serve "$TUNED" --port 0 >"$OUT/server.txt" 2>"$OUT/server.log" &
SERVER=$!
trap 'kill "$SERVER" 2>/dev/null || true' EXIT
until URL=$(head -n 1 "$OUT/server.txt") && [ -n "$URL" ]; do
  kill -0 "$SERVER" 2>/dev/null || { cat "$OUT/server.log" >&2; exit 1; }
  sleep 0.2
done
BODY=$("$PYTHON" -c 'import json, sys; print(json.dumps({"model": sys.argv[1], "messages": [{"role": "user", "content": sys.argv[2]}], "temperature": 0, "max_tokens": 40}))' "${URL#*#}" "$ASK")
printf "\n$ curl %s/chat/completions -H 'Content-Type: application/json' -d '%s'\n" "${URL%%#*}" "${BODY//\'/\'\\\'\'}"
ANSWER=$(curl -fsS "${URL%%#*}/chat/completions" -H "Content-Type: application/json" -d "$BODY")
echo
echo "you    $ASK"
printf 'model  '
"$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["choices"][0]["message"]["content"])' <<<"$ANSWER"
echo
echo "The model is in $TUNED. To keep it at an address: lima serve $TUNED"
