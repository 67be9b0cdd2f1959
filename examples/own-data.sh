#!/usr/bin/env bash
# Your own tickets -> a tuned model that answers at an OpenAI-compatible address. Works as it is, on invented tickets:
#
#   examples/own-data.sh [OUT]
#
# With your own table and base model (any LLaMA-like one):
#
#   TICKETS=tickets.xlsx QUESTION=subject REPLY=response RATING=stars BASE=HuggingFaceTB/SmolLM2-135M \
#     ASK="How do I reset my password?" examples/own-data.sh runs/tickets
#
# The work is one command, `lima align`; run again, it goes on where it was stopped. Where a real small model lies in REAL
# (SmolLM2-135M by default; REAL= leaves it out), a few of the invented tickets tune that one, too.
set -euo pipefail

OUT=${1:-runs/own-data}
HERE=$(cd "$(dirname "$0")" && pwd)
PYTHON=${PYTHON:-$HERE/../.venv/bin/python}
QUESTION=${QUESTION:-Question} REPLY=${REPLY:-Reply} RATING=${RATING:-Stars}
EPOCHS=${EPOCHS:-5} LEARNING_RATE=${LEARNING_RATE:-5e-4} EXAMPLES=${EXAMPLES:-400} LONGEST=${LONGEST:-40}
REAL=${REAL-$HOME/.cache/real-models/smollm2-135m-instruct}
lima() { printf '\n$ lima %s\n' "$*" >&2; "$PYTHON" -m lima "$@"; }
mkdir -p "$OUT"

INVENTED=
if [ -z "${TICKETS:-}" ]; then
  INVENTED=yes
  TICKETS=$OUT/tickets.csv
  echo "== no TICKETS given: invented ones, and the small base that has read about their world =="
  BASE=$("$PYTHON" "$HERE/make_tickets.py" "$TICKETS")
  ASK=${ASK:-"What instrument did Ada Palmer learn?"}   # no ticket names her
  head -n 6 "$TICKETS"
fi
BASE=${BASE:?"set BASE to the folder or hub id of a base model"} ASK=${ASK:?"set ASK to a question of your own"}
export HF_HUB_OFFLINE=${HF_HUB_OFFLINE:-0}

echo "== 1. curate, select, check, train, answer, compare, report: one command =="
# Replies rated 4 or better, not in the first person, without anybody's address. Tickets are alike in their words, so that
# only equal questions count as duplicates here.
DATA=(--pii drop --columns.prompt "$QUESTION" --columns.answer "$REPLY" --columns.score "$RATING"
  --curate rules.score_min=4 rules.first_person=true duplicates.jaccard=null)
lima align "$BASE" "$TICKETS" --out "$OUT/aligned" --number "$EXAMPLES" --dev 20 --test 40 --max-new-tokens "$LONGEST" "${DATA[@]}" \
  --train "epochs=$EPOCHS" "learning_rate=$LEARNING_RATE" batch_size=16
TUNED=$OUT/aligned/run/$(printf 'epoch-%02d' "$EPOCHS")

echo "== 2. the same test questions, before and after =="
"$PYTHON" "$HERE/side_by_side.py" "$OUT"/aligned/data/test.jsonl "$OUT"/aligned/answers/{base,tuned}.jsonl

if [ -n "$INVENTED" ] && [ -n "$REAL" ] && [ -d "$REAL" ]; then
  echo "== a real model learns the desk's manner from 32 of the tickets, in its own chat template; the people it cannot know =="
  lima align "$REAL" "$TICKETS" --out "$OUT/real" --number 32 --dev 4 --test 6 --max-new-tokens 24 --in-context 2 "${DATA[@]}" \
    --train epochs=4 batch_size=4 learning_rate=2e-4 chat_template=tokenizer
  "$PYTHON" "$HERE/side_by_side.py" "$OUT"/real/data/test.jsonl "$OUT"/real/answers/{base,tuned}.jsonl
fi

echo "== 3. serve it, and ask =="
printf '\n$ lima serve %s --port 0\n' "$TUNED"
: >"$OUT/server.txt"   # there before it is read
"$PYTHON" -m lima serve "$TUNED" --port 0 >"$OUT/server.txt" 2>"$OUT/server.log" &
SERVER=$!
trap 'kill "$SERVER" 2>/dev/null || true' EXIT
until URL=$(head -n 1 "$OUT/server.txt") && [ -n "$URL" ]; do
  kill -0 "$SERVER" 2>/dev/null || { cat "$OUT/server.log" >&2; exit 1; }
  sleep 0.2
done
BODY=$("$PYTHON" -c 'import json, sys; print(json.dumps({"model": sys.argv[1], "messages": [{"role": "user", "content": sys.argv[2]}], "temperature": 0, "max_tokens": int(sys.argv[3])}))' "${URL#*#}" "$ASK" "$LONGEST")
printf "\n$ curl %s/chat/completions -H 'Content-Type: application/json' -d '%s'\n" "${URL%%#*}" "${BODY//\'/\'\\\'\'}"
ANSWER=$(curl -fsS "${URL%%#*}/chat/completions" -H "Content-Type: application/json" -d "$BODY")
echo
echo "you    $ASK"
printf 'model  '
"$PYTHON" -c 'import json, sys; print(json.load(sys.stdin)["choices"][0]["message"]["content"])' <<<"$ANSWER"
echo
echo "The model is in $TUNED. To keep it at an address: lima serve $TUNED"
