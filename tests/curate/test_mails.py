"""Questions and replies out of mails as ten clients write them: the reply's own words alone are the answer."""

from __future__ import annotations

import importlib.util
import json
import re
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import pytest

from lima.cli import run
from lima.curate.reading.delimited import TornRow
from lima.curate.reading.mails import MailRow, mail_files, read_mails
from lima.curate.text.mail import own_words
from lima.errors import LimaError

ASKED = "The panel shows E4 since Monday. How do I reset it?"
TOLD = "Hold the gear key for eight seconds. Then enter the code of six digits from page 12 – it is printed in grey."
ANN, SHOP = "Ann Fox <ann.fox@example.com>", "Nina Vogel <help@shop.example>"
QUOTE = "".join(f"> {line}\n" for line in (ASKED, "", "Ann"))

GMAIL = f"""<div dir="ltr"><div>{TOLD}</div><div><br></div></div><br><div class="gmail_quote"><div dir="ltr" class="gmail_attr">On Fri, May 3, 2024 at 10:12 AM Ann Fox &lt;<a href="mailto:ann.fox@example.com">ann.fox@example.com</a>&gt; wrote:<br></div><blockquote class="gmail_quote" style="margin:0px"><div>{ASKED}</div></blockquote></div>"""
OUTLOOK = f"""<html xmlns:o="urn:schemas-microsoft-com:office:office"><head><meta http-equiv="Content-Type" content="text/html"><style><!-- p.MsoNormal {{margin:0cm}} --></style></head><body lang="EN-GB"><div class="WordSection1"><p class="MsoNormal">{TOLD}<o:p></o:p></p><p class="MsoNormal"><o:p>&nbsp;</o:p></p><p class="MsoNormal">Kind regards,<o:p></o:p></p><p class="MsoNormal">Nina Vogel<o:p></o:p></p><div><div style="border:none;border-top:solid #E1E1E1 1.0pt"><p class="MsoNormal"><b>From:</b> Ann Fox &lt;ann.fox@example.com&gt; <br><b>Sent:</b> Friday, 3 May 2024 10:12<br><b>To:</b> help@shop.example<br><b>Subject:</b> Panel<o:p></o:p></p></div></div><p class="MsoNormal">{ASKED}<o:p></o:p></p></div></body></html>"""

# What a client writes around the reply: plain text, HTML, further parameters of the plain part.
CLIENTS: dict[str, tuple[str | None, str | None, dict[str, str]]] = {
    "Gmail": (
        f"{TOLD}\n\nOn Fri, May 3, 2024 at 10:12 AM Ann Fox <ann.fox@example.com>\nwrote:\n\n{QUOTE}",
        GMAIL,
        {},
    ),
    "Gmail, HTML alone": (None, GMAIL, {}),
    "HTML, which the plain form says": ("Your mail client cannot display HTML.\n", GMAIL, {}),
    "signed by PGP": (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n"
        f"{TOLD}\n\nOn Fri, May 3, 2024 at 10:12 AM Ann Fox <ann.fox@example.com> wrote:\n{QUOTE}\n"
        "-----BEGIN PGP SIGNATURE-----\n\niQIzBAEB\n=x1Yz\n-----END PGP SIGNATURE-----\n",
        None,
        {},
    ),
    "Outlook": (None, OUTLOOK, {}),
    "Outlook in German": (
        f"{TOLD}\n\nMit freundlichen Grüßen\nNina Vogel\n\nVon: Ann Fox <ann.fox@example.com>\nGesendet: Freitag, 3. Mai 2024 10:12\n"
        f"An: help@shop.example\nBetreff: Panel\n\n{ASKED}\n",
        None,
        {},
    ),
    "Apple Mail": (f"{TOLD}\n\n> On 3 May 2024, at 10:12, Ann Fox <ann.fox@example.com> wrote:\n> \n{QUOTE}", None, {}),
    "iPhone": (f"{TOLD}\n\nSent from my iPhone\n\n> On 3. May 2024, at 10:12, Ann Fox wrote:\n> \n> {QUOTE}", None, {}),
    "Thunderbird": (
        f"{TOLD}\n\nAm 03.05.24 um 10:12 schrieb Ann Fox:\n{QUOTE}\n-- \nNina Vogel\nTel. +49 30 1234567\n",
        None,
        {},
    ),
    "Thunderbird, flowed": (
        TOLD.replace("Then ", "Then \n").replace("printed ", "printed \n") + f"\n\nAm 03.05.24 um 10:12 schrieb Ann Fox:\n{QUOTE}",
        None,
        {"format": "flowed"},
    ),
    "Mutt, answer below": (f"On Fri, May 03, 2024 at 10:12:00AM +0200, Ann Fox wrote:\n{QUOTE}\n{TOLD}\n\n-- \nNina\n", None, {}),
    "Proton": (
        f"{TOLD}\n\nSent with Proton Mail secure email.\n\n------- Original Message -------\nOn Friday, May 3rd, 2024 at 10:12, Ann Fox "
        f"<ann.fox@example.com> wrote:\n\n{QUOTE}",
        None,
        {},
    ),
    "Zendesk": (f"##- Please type your reply above this line -##\n\n{TOLD}\n", None, {}),
    "French webmail": (f"{TOLD}\n\nLe ven. 3 mai 2024 à 10:12, Ann Fox <ann.fox@example.com> a écrit :\n\n{QUOTE}", None, {}),
    "no quote": (TOLD, None, {}),
}  # fmt: skip


def letter(sender: str, text: str | None, **fields: Any) -> EmailMessage:
    """A mail; ``fields`` are those of its head, with ``_`` for ``-``, and html, charset, parameters and attachments."""
    html, charset = fields.pop("html", None), fields.pop("charset", "utf-8")
    parameters, attached = fields.pop("parameters", {}), fields.pop("attached", ())
    message = EmailMessage(policy=SMTP)
    message["From"] = sender
    message["To"] = SHOP if sender == ANN else ANN
    message["Date"] = fields.pop("date", "Fri, 03 May 2024 10:12:00 +0200")
    for name, value in fields.items():
        message[name.replace("_", "-")] = value
    if text is not None:
        message.set_content(text, charset=charset, cte="base64")
        for name, value in parameters.items():
            message.set_param(name, value)
    if html is not None and text is not None:
        message.add_alternative(html, subtype="html")
    elif html is not None:
        message.set_content(html, subtype="html")
    for name in attached:
        message.add_attachment(b"x", maintype="image", subtype="jpeg", filename=name)
    return message


def question(**fields: Any) -> EmailMessage:
    return letter(
        ANN,
        fields.pop("text", f"Hello,\n\n{ASKED}\n\nAnn"),
        **{"Message_ID": "<q@x>", "Subject": "Panel"} | fields,
    )


def reply(**fields: Any) -> EmailMessage:
    usual = {
        "Message_ID": "<r@y>",
        "Subject": "Re: Panel",
        "In_Reply_To": "<q@x>",
        "date": "Fri, 03 May 2024 11:00:00 +0200",
    }
    given = {name: value for name, value in (usual | fields).items() if value is not None}
    text = given.pop("text", TOLD)
    return letter(SHOP, None if text == "" else text, **given)


def pairs(folder: Path, *messages: EmailMessage | bytes) -> tuple[list[MailRow], list[tuple[str, str]]]:
    """Pairs, and (rule, reason) of all other letters, of a folder with these."""
    for number, message in enumerate(messages):
        raw = message if isinstance(message, bytes) else message.as_bytes()
        (folder / f"{number}.eml").write_bytes(raw)
    rows = [row for _, row in read_mails(mail_files(folder))]
    torn = [(row.rule, row.reason) for row in rows if isinstance(row, TornRow)]
    return [row for row in rows if isinstance(row, MailRow)], torn


def own(row: MailRow, column: str = "answer") -> str:
    return own_words(row[column], bare_quotes=True).text.strip()


@pytest.mark.parametrize("client", CLIENTS)
def test_the_reply_s_own_words_are_the_answer(client: str, tmp_path: Path) -> None:
    text, html, parameters = CLIENTS[client]
    (row,), torn = pairs(tmp_path, question(), reply(text=text or "", html=html, parameters=parameters))
    assert own(row) == TOLD
    assert own(row, "prompt").startswith(ASKED)
    assert (row["subject"], row["author"], row["date"], torn) == ("Panel", "Nina Vogel", "2024-05-03", [])


@pytest.mark.parametrize("client", ["Gmail", "Outlook", "Outlook in German", "Apple Mail", "French webmail"])
def test_a_question_that_is_not_there_is_taken_from_the_quote(client: str, tmp_path: Path) -> None:
    text, html, parameters = CLIENTS[client]
    (row,), torn = pairs(tmp_path, reply(text=text or "", html=html, parameters=parameters))
    assert (own(row), torn) == (TOLD, [])
    assert row["prompt"].startswith(ASKED)
    assert row.changes == ("question from the quoted mail",)


THREADS: dict[str, tuple[list[EmailMessage], list[str]]] = {
    "by In-Reply-To, whatever the subject": ([question(), reply(Subject="Your ticket 7")], []),
    "by References alone": ([question(), reply(In_Reply_To=None, References="<q@x> <z@x>")], []),
    "by the subject": ([question(), reply(In_Reply_To=None)], []),
    "by the subject, in other languages": ([question(), reply(In_Reply_To=None, Subject="AW: Re[2]: panel")], []),
    "a clock that is wrong": ([question(), reply(date="Fri, 03 May 2024 09:00:00 +0200")], []),
    "no date": ([question(), reply(date="yesterday")], []),
    "the asker adds something first": ([question(), letter(ANN, "PS: it is the old one.", Message_ID="<p@x>", Subject="Re: Panel", In_Reply_To="<q@x>", date="Fri, 03 May 2024 10:20:00 +0200"), reply()], ["follow-up"]),
    "later turns": ([question(), reply(), letter(ANN, "Thanks!", Message_ID="<t@x>", Subject="Re: Panel", In_Reply_To="<r@y>", date="Fri, 03 May 2024 12:00:00 +0200")], ["follow-up"]),
    "the same mail twice": ([question(), question(), reply()], []),
    "an automatic reply by its head": ([question(), reply(Message_ID="<a@y>", Auto_Submitted="auto-replied", text="I am away.", date="Fri, 03 May 2024 10:13:00 +0200"), reply()], ["automatic"]),
    "an acknowledgement by its words": ([question(), reply(Message_ID="<a@y>", text="We have received your request and will answer soon.", date="Fri, 03 May 2024 10:13:00 +0200"), reply()], ["automatic"]),
    "words of a person from a help desk": ([question(), reply(Auto_Submitted="auto-generated")], []),
    "a comma in a name": ([question(), reply(Reply_To='"Vogel, Nina" <help@shop.example>')], []),
}  # fmt: skip


@pytest.mark.parametrize("name", THREADS)
def test_threads(name: str, tmp_path: Path) -> None:
    messages, others = THREADS[name]
    (row,), torn = pairs(tmp_path, *messages)
    assert (own(row), own(row, "prompt").startswith(ASKED)) == (TOLD, True)
    assert [rule for rule, _ in torn] == others


LONE: dict[str, tuple[EmailMessage, str]] = {
    "a question without a reply": (question(), "no-reply"),
    "a reply without its question": (reply(), "no-question"),
    "a forwarded mail": (question(Subject="Fwd: Panel"), "forwarded"),
    "an empty mail": (question(Subject="", text=" \n"), "empty"),
    "an absence note": (reply(Auto_Submitted="auto-replied (vacation)"), "automatic"),
}


@pytest.mark.parametrize("name", LONE)
def test_a_letter_without_its_pair_is_named_with_its_place(name: str, tmp_path: Path) -> None:
    message, rule = LONE[name]
    rows, torn = pairs(tmp_path, message)
    assert rows == []
    assert [found for found, _ in torn] == [rule]
    assert torn[0][1].startswith("0.eml: ")


def test_two_people_with_one_subject_are_two_threads(tmp_path: Path) -> None:
    other = question(Message_ID="<o@x>", text="Where is the manual?")
    del other["From"]
    other["From"] = "Bob <bob@example.net>"
    rows, _ = pairs(tmp_path, question(), other, reply(In_Reply_To=None))
    (row,) = rows
    assert own(row, "prompt").startswith(ASKED)


@pytest.mark.parametrize(
    ("declared", "written"),
    [("utf-8", "utf-8"), ("iso-8859-1", "cp1252"), ("us-ascii", "utf-8"), ("iso-8859-1", "utf-8"), ("x-unknown", "utf-8"), ("utf-8", "cp1252")],
)  # fmt: skip
def test_charsets_that_are_wrong_or_unknown(declared: str, written: str, tmp_path: Path) -> None:
    head = b"From: help@shop.example\nTo: ann.fox@example.com\nSubject: Re: Panel\nMessage-ID: <r@y>\nIn-Reply-To: <q@x>\n"
    kind = f"Content-Type: text/plain; charset={declared}\nContent-Transfer-Encoding: 8bit\n\n".encode()
    (row,), _ = pairs(tmp_path, question(), head + kind + TOLD.encode(written))
    assert own(row) == TOLD


@pytest.mark.parametrize(
    "subject",
    ["=?utf-8?q?Gr=C3=B6=C3=9Fe?=", "=?iso-8859-1?B?R3L232U=?=", "=?utf-8?q?Gr=C3=B6?= =?utf-8?q?=C3=9Fe?=", "=?utf-8?B?R3LDtsOf?=\n =?utf-8?B?ZQ==?="],
)  # fmt: skip
def test_encoded_words(subject: str, tmp_path: Path) -> None:
    raw = f"From: =?utf-8?q?Fox=2C_Ann?= <ann@x.example>\nSubject: {subject}\nMessage-ID: <q@x>\n\n{ASKED}\n".encode()
    (row,), _ = pairs(tmp_path, raw, reply())
    assert row["subject"] == "Größe"


def test_bytes_that_no_encoded_word_announces(tmp_path: Path) -> None:
    for encoding in ("utf-8", "cp1252"):
        raw = f"From: ann@x.example\nSubject: Größe\nMessage-ID: <q@x>\n\n{ASKED}\n".encode(encoding)
        (row,), _ = pairs(tmp_path, raw, reply())
        assert row["subject"] == "Größe"


def test_attachments_are_named_and_skipped(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (row,), _ = pairs(tmp_path, question(attached=["Größe 1.jpg"]), reply(attached=["manual.pdf"]))
    assert own(row) == TOLD
    assert row["attachments"] == "Größe 1.jpg, manual.pdf"
    assert row.changes == ("attachment left out: Größe 1.jpg", "attachment left out: manual.pdf")
    assert "2 attachments are left out: Größe 1.jpg, manual.pdf" in " ".join(capsys.readouterr().err.split())


def test_a_letter_that_is_encrypted_in_its_text_is_named(tmp_path: Path) -> None:
    closed = reply(text="-----BEGIN PGP MESSAGE-----\n\nhQEMA\n-----END PGP MESSAGE-----\n")
    found, left = pairs(tmp_path, question(), closed)
    assert not found
    assert "encrypted" in [rule for rule, _ in left]


def test_a_mailbox_with_lines_that_begin_with_from(tmp_path: Path) -> None:
    """As Thunderbird and Google write it: one mark stands before each such line, and before each that has marks."""
    head = "From - Fri May 03 11:00:00 2024\nFrom: {}\nMessage-ID: {}\nSubject: Panel\nContent-Type: text/plain; charset=utf-8\n"
    asked = head.format(ANN, "<q@x>") + f"\n{ASKED}\n\n"
    told = (
        head.format(SHOP, "<r@y>")
        + f"In-Reply-To: <q@x>\n\n{TOLD}\n\n>From May on it is new.\n>>From here on old.\n\n"
    )
    (tmp_path / "inbox.mbox").write_text(asked + told)
    (row,) = [row for _, row in read_mails([tmp_path / "inbox.mbox"])]
    assert row["answer"].rstrip() == f"{TOLD}\n\nFrom May on it is new.\n>From here on old."


def test_what_is_no_mail(tmp_path: Path) -> None:
    for name, content in (("a.eml", b""), ("a.mbox", b"no mailbox\n"), ("b.eml", b"\x1f\x8b\x08...")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(LimaError, match="no mail in it"):
            list(read_mails([tmp_path / name]))
    (tmp_path / "empty").mkdir()
    with pytest.raises(LimaError, match="no mail in this folder"):
        mail_files(tmp_path / "empty")


def test_curate_reads_a_folder_of_mails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    inbox = tmp_path / "inbox"
    inbox.mkdir()
    for number in range(3):
        asked = question(Message_ID=f"<q{number}@x>", text=f"Panel {number} shows E4. What is that?")
        told = reply(
            Message_ID=f"<r{number}@y>",
            In_Reply_To=f"<q{number}@x>",
            text=f"{TOLD}\n\nThe code of panel {number} is new.\n\n{QUOTE}",
        )
        (inbox / f"{number}a.eml").write_bytes(asked.as_bytes())
        (inbox / f"{number}b.eml").write_bytes(told.as_bytes())
    (inbox / "alone.eml").write_bytes(question(Message_ID="<alone@x>").as_bytes())
    out = tmp_path / "out"
    run(["curate", "own-data", "--input", str(inbox), "--out", str(out), "--no-card", "--sources.own.train", "3",
         "--sources.own.dev", "0", "--sources.own.test", "0", "--duplicates.jaccard", "None"])  # fmt: skip
    rows = [json.loads(line) for line in (out / "train.jsonl").read_text().splitlines()]
    assert len(rows) == 3
    assert all("@" not in row["id"] and ">" not in row["messages"][1]["content"] for row in rows)
    assert rows[0]["messages"][1]["content"].startswith(TOLD)
    rejected = [json.loads(line) for line in (out / "rejected.jsonl").read_text().splitlines()]
    assert [(row["rule"], row["reason"]) for row in rejected] == [
        ("no-reply", "alone.eml: nobody else answers it")
    ]


def published() -> list[Path]:
    """The odd mails of Python's own tests, where this Python has them."""
    spec = importlib.util.find_spec("test")
    folder = Path(spec.origin).parent / "test_email" / "data" if spec and spec.origin else Path("nowhere")
    return sorted(folder.glob("msg_*.txt"))


@pytest.mark.parametrize("path", published(), ids=lambda path: path.stem)
def test_the_odd_mails_of_python_s_own_tests(path: Path, tmp_path: Path) -> None:
    """Each is read, or named: by the head that it has and the text that its plain part holds."""
    copy = tmp_path / "odd.eml"
    copy.write_bytes(path.read_bytes())
    head = path.read_bytes().lstrip().partition(b"\n\n")[0].lower()
    if not re.search(rb"^(?:from|subject):", head, re.M):
        with pytest.raises(LimaError, match="no mail in it"):
            list(read_mails([copy]))
        return
    ((_, row),) = read_mails([copy])
    assert isinstance(row, TornRow)  # alone, no letter is a pair
    assert row.rule in ("no-reply", "no-question", "automatic", "forwarded", "empty")
    assert row.reason.startswith("odd.eml: ")
