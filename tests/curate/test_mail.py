"""Mails as ten clients write them, in three languages: what its writer wrote stays, line by line; the rest goes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from time import process_time

import pytest

from lima.curate.text.mail import acknowledgement, messages_below, own_words

ANSWERS = {
    "en": "Hold the key for eight seconds:\n\n- the lamp turns green\n- the door opens\n\nThen enter the code. Is the lamp red? Call us.",
    "de": "Halten Sie die Taste acht Sekunden:\n\n1. Die Lampe wird grün.\n2. Die Tür geht auf.\n\n    code = 'x'  # so steht es im Heft",
    "fr": "Tenez la touche huit secondes.\n\nDe : la machine vient un bruit ; c'est normal.\n> 3 s suffisent rarement.",
}
QUESTION = {
    "en": "How do I reset the panel?\nIt shows an error.",
    "de": "Wie setze ich das Gerät zurück?\nEs zeigt einen Fehler.",
    "fr": "Comment réinitialiser l'appareil ?\nIl affiche une erreur.",
}
CLIENTS = {
    "gmail": {
        "en": "On Fri, May 3, 2024 at 10:12 AM Ann Fox <ann.fox@example.com> wrote:",
        "de": "Am Fr., 3. Mai 2024 um 10:12 Uhr schrieb Ann Fox <ann.fox@example.com>:",
        "fr": "Le ven. 3 mai 2024 à 10:12, Ann Fox <ann.fox@example.com> a écrit :",
    },
    "gmail, broken": {
        "en": "On Fri, May 3, 2024 at 10:12 AM Ann Fox <\nann.fox@example.com> wrote:",
        "de": "Am Fr., 3. Mai 2024 um 10:12 Uhr schrieb Ann Fox <\nann.fox@example.com>:",
        "fr": "Le ven. 3 mai 2024 à 10:12, Ann Fox <\nann.fox@example.com> a écrit :",
    },
    "thunderbird": {
        "en": "On 5/3/24 10:12, Ann Fox wrote:",
        "de": "Am 03.05.2024 um 10:12 schrieb Ann Fox:",
        "fr": "Le 03/05/2024 à 10:12, Ann Fox a écrit :",
    },
    "apple": {
        "en": "> On 3 May 2024, at 10:12, Ann Fox <ann.fox@example.com> wrote:",
        "de": "> Am 03.05.2024 um 10:12 schrieb Ann Fox <ann.fox@example.com>:",
        "fr": "> Le 3 mai 2024 à 10:12, Ann Fox <ann.fox@example.com> a écrit :",
    },
    "outlook": {
        "en": "________________________________\nFrom: Ann Fox <ann.fox@example.com>\nSent: Friday, May 3, 2024 10:12 AM\nTo: Support\nSubject: Reset\n",
        "de": "________________________________\nVon: Ann Fox <ann.fox@example.com>\nGesendet: Freitag, 3. Mai 2024 10:12\nAn: Support\nBetreff: Reset\n",
        "fr": "________________________________\nDe : Ann Fox <ann.fox@example.com>\nEnvoyé : vendredi 3 mai 2024 10:12\nÀ : Support\nObjet : Reset\n",
    },
    "outlook, older": {
        "en": "-----Original Message-----\nFrom: Ann Fox\nSent: Friday\nSubject: Reset\n",
        "de": "-----Ursprüngliche Nachricht-----\nVon: Ann Fox\nGesendet: Freitag\nBetreff: Reset\n",
        "fr": "-----Message d'origine-----\nDe : Ann Fox\nEnvoyé : vendredi\nObjet : Reset\n",
    },
    "outlook, no line": {
        "en": "From: Ann Fox <ann.fox@example.com>\nSent: Friday, May 3, 2024 10:12 AM\nTo: Support\nSubject: Reset\n",
        "de": "Von: Ann Fox <ann.fox@example.com>\nGesendet: Freitag, 3. Mai 2024 10:12\nAn: Support\nBetreff: Reset\n",
        "fr": "De : Ann Fox <ann.fox@example.com>\nEnvoyé : vendredi 3 mai 2024 10:12\nÀ : Support\nObjet : Reset\n",
    },
    "forwarded": {
        "en": "---------- Forwarded message ---------\nFrom: Ann Fox\nDate: Fri, May 3\nSubject: Reset\n",
        "de": "---------- Weitergeleitete Nachricht ---------\nVon: Ann Fox\nDatum: Fr., 3. Mai\nBetreff: Reset\n",
        "fr": "---------- Message transféré ---------\nDe : Ann Fox\nDate : ven. 3 mai\nObjet : Reset\n",
    },
    "help desk": dict.fromkeys(ANSWERS, "##- Please type your reply above this line -##"),
    "dated": dict.fromkeys(ANSWERS, "2024-05-03 10:12 GMT+02:00 Ann Fox <ann.fox@example.com>:"),
}
SIGNATURES = {
    "en": [
        "\n\nKind regards,\nNina Vogel\nCustomer Care",
        "\n\n-- \nNina Vogel\nPhone +44 20 7946 0123\nwww.example.com",
    ],
    "de": ["\n\nMit freundlichen Grüßen\nNina Vogel\nKundendienst", "\n\nViele Grüße aus Kiel\nNina"],
    "fr": ["\n\nCordialement,\nNina Vogel", "\n\nEnvoyé de mon iPhone"],
}
HELLOS = {"en": "Hi Ann,\n\n", "de": "Sehr geehrte Frau Fox,\n\n", "fr": "Bonjour Ann,\n\n"}


def threads() -> Iterator[tuple[str, str, str]]:
    """Sixty messages: name, text, answer."""
    for client, language, number in product(CLIENTS, ANSWERS, (0, 1)):
        quoted = "\n".join(f"> {line}" for line in QUESTION[language].split("\n"))
        hello = HELLOS[language] if number else ""
        text = f"{hello}{ANSWERS[language]}{SIGNATURES[language][number]}\n\n{CLIENTS[client][language]}\n{quoted}\n"
        yield f"{client}, {language}, {number}", text, ANSWERS[language]


@pytest.mark.parametrize(
    ("name", "text", "answer"), list(threads()), ids=lambda value: value if len(value) < 40 else ""
)
def test_what_its_writer_wrote_stays_and_nothing_else(name: str, text: str, answer: str) -> None:
    found = own_words(text)
    assert found.text == answer, name
    assert "quoted mail" in found.cuts
    assert "signature" in found.cuts
    assert ("greeting" in found.cuts) == name.endswith("1")


@pytest.mark.parametrize(
    "text",
    [
        "From: is a field of the form.\n\nLeave it empty.",
        "On Monday we wrote:\nit works.",
        "Use --force.\n\n--\n\nThen:\n\n"
        + "a long line that no signature has, since it explains what must be done next and why\n",
        "Dear users of the old form will notice that it is gone.",
        "Best is what you like. Thanks to the new key it is fast.",
        "> quoted by a forum's writer\n\nI disagree: it works.",
        "Subject: the line on top.\nThen press Send.",
        "- one\n- two\n\n-three is a negative number",
        "Hello world!\n",
    ],
)
def test_answers_that_look_like_mail_stay_whole(text: str) -> None:
    assert own_words(text).text == text.strip("\n")
    assert own_words(text).cuts == ()


def test_a_message_that_is_only_a_signature_is_not_emptied() -> None:
    assert own_words("Kind regards,\nNina").text == "Kind regards,\nNina"


def test_disclaimers() -> None:
    below = "This e-mail and any attachments are confidential and intended solely for the addressee."
    assert own_words(f"Press the key.\n\n{below}\nPlease notify the sender.").text == "Press the key."


def test_bare_quotes_go_where_they_are_asked_to() -> None:
    text = "> How do I reset it?\nHold the key.\n\n> And then?\nEnter the code."
    assert own_words(text).text == text
    assert own_words(text, bare_quotes=True).text == "Hold the key.\n\nEnter the code."


def test_the_question_below_an_answer() -> None:
    _, text, _ = next(threads())
    assert list(messages_below(own_words(text).quoted)) == [QUESTION["en"]]


@pytest.mark.parametrize(
    "answer",
    [
        "Fill in the form:\n\nName: ______\n____________________________\nSign here, then post it to us.",
        "Write so:\n\nTo: boss@example.com\nSubject: Leave\n\nI would like a day off.",
        "The train goes so:\n\nFrom: Berlin\nTo: Hamburg\n\nTake the one at ten.",
        "The week:\n\nDate: 3 May\nTo: 5 May\n\nPack your bags.",
        "Unplug it.\n\nThanks\n\nSecond, let it cool. It works then.",
        "Lift the lid.\nCaution: the plate is hot.\nThen turn the screw to the left.",
        "It is so.\nDisclaimer: I sell these.\nTurn the screw to the left, and lift the lid.",
        "Run this:\n```sql\nSELECT a\n--\nFROM t\n```",
        "The file:\n```\nFrom: a@example.com\nSubject: x\n```\nSend it so.",
    ],
)
def test_forms_routes_and_code_are_no_mail(answer: str) -> None:
    assert own_words(answer).text == answer


@pytest.mark.parametrize(
    "below",
    [
        "пн, 3 июн. 2024 г. в 10:00, Анна <anna@example.com>:\n> старое",
        "在 2024年6月3日，安娜 <anna@example.com> 写道：\n> 旧的",
        "From: Anna Fox\nSent: Monday\nTo: Bob\nSubject: RE: x\n\nOld.",
        "________________________________\nFrom: Anna <anna@example.com>\nTo: Bob\n\nOld.",
        "Disclaimer: this mail is confidential.\nDelete it.",
        "CAUTION: This email came from outside.",
    ],
)
def test_what_is_below_an_answer_is_cut(below: str) -> None:
    assert own_words(f"Turn the screw.\n\n{below}").text == "Turn the screw."


QUOTED_LINES = "On Fri, May 3, 2024 at 10:12 AM Ann Fox <ann.fox@example.com> wrote:\n\n> The panel shows an error.\n>\n> What now?"


def test_an_answer_below_what_it_quotes() -> None:
    found = own_words(f"{QUOTED_LINES}\n\nHold the key.\n\nThen wait.\n\n-- \nBob")
    assert (found.text, found.quoted) == ("Hold the key.\n\nThen wait.", QUOTED_LINES)
    assert own_words(f"It is old.\n\n{QUOTED_LINES}\n\nHold the key.").text == "It is old.\n\nHold the key."


@pytest.mark.parametrize("below", ["and this line was broken off", "> one\nbroken off\n> two\n\nAnn"])
def test_a_quotation_whose_lines_were_broken_ends_nowhere(below: str) -> None:
    """What a client broke off has no mark, so that nothing below tells whose it is."""
    assert own_words(f"Hold the key.\n\n{QUOTED_LINES}\n{below}").text == "Hold the key."


def test_a_forwarded_mail_of_the_north() -> None:
    head = "---------- Vidarebefordrat meddelande ----------\nFrån: Ann <ann@example.com>\nÄmne: Panel"
    assert own_words(f"Hold the key.\n\n{head}\n\nThe panel shows an error.").text == "Hold the key."


@pytest.mark.parametrize(
    "text",
    [
        "Thanks for reaching out to the bike shop! Your case number is 88213. We will reply within one working day.\n\nYour bike shop",
        "Hallo,\n\nvielen Dank für Ihre Anfrage. Wir melden uns schnellstmöglich bei Ihnen.\n\nIhr Team",
        "Bonjour,\n\nMerci de nous avoir écrit. Nous vous répondrons dans les plus brefs délais.\n\nLe service client",
        "I'm on annual leave until Monday. Please ask my colleague.",
        "Ich bin bis zum 3. Juni leider nicht erreichbar. Ihre Mail wird nicht weitergeleitet.",
        "Je suis actuellement en congé. Merci de contacter l'accueil.",
    ],
)
def test_acknowledgements_and_absence(text: str) -> None:
    assert acknowledgement(text)


@pytest.mark.parametrize(
    "text",
    [
        "Thank you for your message. Turn the valve to the left and wait until the gauge shows two bar; then we will reply to the rest.",
        "Vielen Dank für Ihre Anfrage. Sie können die Rechnung in Ihrem Konto unter Bestellungen herunterladen und dort auch ändern.",
        "Vielen Dank für Ihre Nachricht. Bitte starten Sie das Gerät umgehend neu.",
        "Thanks for contacting us. Press reset and the device will respond.",
        "The parcel is on its way and we will contact you once it is at the depot.",
        "Lay the frame on leave or foil; I am sure it holds.",
    ],
)
def test_short_answers_are_no_acknowledgements(text: str) -> None:
    assert acknowledgement(text) is None


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello Ann, hold the key for eight seconds.", "Hold the key for eight seconds."),
        ("Hallo Frau Dr. Vogel, bitte halten Sie die Taste.", "Bitte halten Sie die Taste."),
        ("Dear Mr. and Mrs. Smith, hold the key.", "Hold the key."),
        ("Hi there! iPhones need the other cable.", "iPhones need the other cable."),
        ("Sehr geehrter Herr Fox,\n\nbitte halten Sie die Taste.", "Bitte halten Sie die Taste."),
        ("03/May/24 10:12 AM;712020:ab-cd;Hold the key.", "Hold the key."),
        ("Hold the key.\n\nMerci d’avance,\nÉlodie", "Hold the key."),
    ],
)
def test_greetings_and_heads_on_the_first_line(text: str, words: str) -> None:
    assert own_words(text).text == words


WORDS = "Press the filter in until it clicks."


@pytest.mark.parametrize(
    "hello",
    [
        "Dear Ann, Bob and Cy",
        "Dear Ann, Bob and Cy,",
        "Hi Ann, hi Bob,",
        "Dear Dr. O'Neil, Prof. van der Berg and colleagues,",
        "Dear Sir/Madam,",
        "To whom it may concern,",
        "Hi Mary-Jane / Tom,",
        "Sehr geehrte Frau Müller, sehr geehrter Herr Schmidt,",
        "Sehr geehrte Damen und Herren,",
        "Liebe Anna, lieber Bernd und liebe Clara,",
        "Guten Tag Frau Dr. Weber, guten Tag Herr Klein,",
        "Hallo Frau Meier-Lüdenscheid, hallo Herr von und zu Guttenberg,",
        "Servus Max,",
        "Madame, Monsieur,",
        "Chers Anne et Luc,",
        "Chère Madame Dupont, cher Monsieur Martin,",
        "Bonjour à tous,",
        "Estimada Sra. García, estimado Sr. López:",
        "Queridos Ana y Luis,",
        "Muy señor mío:",
        "Gentile Sig.ra Bianchi,",
        "Prezado Sr. Souza,",
        "Caros João e Inês,",
        "Geachte mevrouw de Vries,",
        "Szanowna Pani Łucjo,",
        "Уважаемый Иван Петров,",
        "Здравствуйте, Анна!",
    ],
)
def test_everybody_in_a_greeting_is_cut(hello: str) -> None:
    assert own_words(f"{hello}\n\n{WORDS}").text == WORDS
    names = hello.rstrip(",:!")
    if names != hello and "Madam" not in hello and "whom" not in hello and "mío" not in hello:
        assert own_words(f"{names}, press the filter in until it clicks.").text == WORDS


@pytest.mark.parametrize(
    "closing",
    [
        "Kind regards,\nAnn Lee, Bob Fox and Cy Day",
        "All the best,\nAnn & Bob",
        "Cheers, Ann",
        "Best\nAnn",
        "LG Anna und Bernd",
        "Take care,\nAnn",
        "Have a nice day!\nAnn",
        "Viele Grüße, Anna",
        "LG Anna",
        "MfG Anna Weber",
        "Schönen Tag noch\nAnna",
        "Ihr Team vom Service",
        "Belle journée,\nAnne",
        "Veuillez agréer, Madame, Monsieur, l'expression de mes salutations distinguées.\nAnne Dupont",
        "À bientôt,\nAnne et Luc",
        "Saludos cordiales,\nAna García",
        "Reciba un cordial saludo,\nAna, Luis y Marta",
        "Un abrazo, Ana",
        "Distinti saluti\nMarta Bianchi",
        "Com os melhores cumprimentos,\nInês Souza",
        "Met vriendelijke groet,\nJan de Vries",
        "Pozdrawiam serdecznie,\nŁucja",
        "С уважением,\nАнна Смирнова\nСлужба поддержки",
    ],
)
def test_everybody_in_a_closing_is_cut(closing: str) -> None:
    assert own_words(f"{WORDS}\n\n{closing}").text == WORDS


@pytest.mark.parametrize(
    "text",
    [
        "Good\nBetter\nBest",
        "Samsung\n\nSony\n\nLG",
        "In German you say:\nVielen Dank",
        "The cheapest is:\nBest",
    ],
)
def test_what_a_colon_announces_or_a_list_ends_with_is_no_closing(text: str) -> None:
    assert own_words(text).text == text


@pytest.mark.parametrize(
    "last",
    [
        "Best Western",
        "LG Electronics",
        "LG Washing Machine",
        "Cheers is what people say.",
        "- Yours is blue",
        "Saluti is a word",
        "Cara Delevingne",
    ],
)
def test_last_lines_that_close_nothing(last: str) -> None:
    assert own_words(f"{WORDS}\n\n{last}").text == f"{WORDS}\n\n{last}"


@pytest.mark.parametrize(
    "text",
    [
        "Hello World, Java and Python are common first words.",
        "Hello Kitty, Snoopy and Garfield are drawn.",
        "Dear Ann is what the card says, and it is printed on top.",
        "Hello world, as a program, is one line.",
        "Dear is what costs much, and cheap is not.",
        "Hi-fi sets, old ones, hum.",
        "Bonjour\n\nis what you say.",
        "Hi Firefox, Chrome, Safari users, open the menu first.",
    ],
)
def test_first_words_that_greet_nobody(text: str) -> None:
    assert own_words(text).text == text


DESK = """##- Please type your reply above this line -##

Your request (71) has been updated. To add a comment, reply to this mail.

--------------------------------

Nina (Bikes)

May 3, 2024, 10:40 GMT+2

Hi Eva,

turn the valve to the left.

--------------------------------

Eva Sol, May 3, 2024, 10:12

Which way does the valve turn?
"""


def test_a_help_desk_s_notification() -> None:
    found = own_words(DESK)
    assert found.text == "Turn the valve to the left."
    assert "Which way does the valve turn?" in found.quoted


def test_a_name_below_is_its_writer_s_signature() -> None:
    assert own_words("Which way?\nEva", writer="Eva Sol").text == "Which way?"
    assert own_words("Which way?\nTwo bar", writer="Eva Sol").text == "Which way?\nTwo bar"


def test_answers_between_quoted_lines_are_told() -> None:
    assert own_words("> Abroad?\n\nYes.\n\n> At a lower price?\n\nNo.", bare_quotes=True).interleaved
    broken = (
        "> Do you send parcels to places that are\nabroad?\n> And at a price that is a little\nlower?\n\nYes."
    )
    assert not own_words(broken, bare_quotes=True).interleaved
    assert not own_words("> Abroad?\n> At a lower price?\n\nYes, and no.", bare_quotes=True).interleaved


@pytest.mark.parametrize("between", [" ", "> ", "\t"])
def test_long_lines_of_blanks_and_marks_take_no_time(between: str) -> None:
    started = process_time()
    for text in ("Hello there.\n{}x", "Thanks{}(", "Hi{}(\nb", "On 3 {}x@: wrote\nb"):
        own_words(text.format(between * (12_000 // len(between))))
    assert process_time() - started < 2


def test_two_names_below_german_words_close_a_letter() -> None:
    assert own_words("Bitte die Taste halten.\nLG Anna Weber").text == "Bitte die Taste halten."
    assert own_words("Hi Ann, Press keys, then go.").text == "Press keys, then go."
