"""What mails are made of besides their words, as expressions of several languages: greetings, closings, quoted threads, notices."""

from __future__ import annotations

import re

GREET = r"""(?: hi | hello | hey | dear | greetings | good \s (?:morning|afternoon|evening|day) | hallo | guten \s (?:tag|morgen|abend) | liebe[rs]? | sehr \s geehrte[rs]?
    | (?:sehr \s)? verehrte[rs]? | werte[rs]? | moin (?: [ ]moin )? | servus | grüezi | grüß \s (?:gott|dich|sie|euch) | bonjour | bonsoir | ch(?:er|ère)s? | salut | hola
    | estimad[oa]s? | querid[oa]s? | apreciad[oa]s? | buenos \s días | buenas \s (?:tardes|noches) | ciao | buongiorno | buonasera | salve | gentil[ei] | egregi[oae] | spett(?:abile|\.?le) | ol[áà] | bom \s dia | boa \s (?:tarde|noite) | prezad[oa]s?
    | car[oa]s? (?= [^.]* [,!:] ) | beste | geachte | hoi | goede (?:morgen|middag|navond|ndag) | dzień \s dobry | witam | cześć | szanown[iy] | szanown[ae]
    | здравствуйте | здравствуй | добрый \s (?:день|вечер) | доброе \s утро | приветствую | привет | уважаем(?:ый|ая|ые) )"""
TITLE = r"""(?: mrs? | ms | mx | miss | dr | prof(?:essor)? | sir | frau | herrn? | madame | monsieur | m | mme | mlle | messieurs | señora?s? | señores | sra? | sres | don | doña | signora?
    | sig (?:\.ra)? | dott (?:\.ssa)? | senhora? | de \s heer | heer | mevrouw | ing | dipl | pan (?:i|ie|a)? | господин | госпожа )"""
NAME = r"(?-i: [A-ZÀ-ÖØ-ÞĆČĎĐĘĚŁŃŇŐŘŚŠŤŮŹŻŽА-ЯЁ] (?: \. | [\w'’-]+ ) )"
PARTICLE = (
    r"(?: van | von | der | den | ten | zu | zur | und \s zu | de | del | la | da | di | le | al | el | bin )"
)
GROUP = r"""(?: all | everyone | everybody | team | there | folks | both | colleagues | friends? | customers? | clients? | users? | madam | sir (?: \s (?:or|/) \s madam )? | zusammen | alle
    | allerseits | kund(?:en|e|in|innen) | damen | herren | kolleg(?:en|innen|e|in) | team | tous | toutes | (?:à|a) \s (?:tous|toutes|todos|todas) | équipe | cliente? | clientes
    | equipo | todos | todas | tutti | clienti | państwo | коллеги | клиент(?:ы)? | \[ \w+ \] )"""
PERSON = rf"(?: (?: {TITLE} \b \.? \s+ ){{0,3}} (?: (?: {PARTICLE} \s+ ){{0,2}} {NAME} (?: \s+ (?: {PARTICLE} \s+ ){{0,2}} {NAME} ){{0,3}} | {GROUP} \b ) | {TITLE} \b \.? )"
SURE = r"(?: (?<=regards) | (?<=grüße) | (?<=grüsse) | (?<=gruß) | (?<=gruss) | (?<=mfg) | (?<=lg) (?! \s+ (?: electronics | displays? | chem | g\d | tvs? | oled | monitors? | fridges? ) ) | (?<=saludo) | (?<=saludos) )"
"""Words that end a letter without a comma behind them: a hotel may be the Best Western."""
JOIN = r"(?: \s* [,/&] \s* (?: (?: and | und | et | y | e ) \s+ )? | \s+ (?: and | und | et | y | e | or | sowie ) \s+ )"
ADDRESSED = rf"(?: {GREET} [ ,]+ )? {PERSON}"
LISTED = rf"{GREET} [ ,]+ {PERSON} (?: {JOIN} {ADDRESSED} ){{0,8}}"

HELLO = re.compile(
    rf"""(?ix) ^ \s* (?:
        {GREET} (?: [ ,]+ (?: [^\W\d_] [\w.'’-]* | & | \[ \w+ \] ) ){{0,5}}
      | {LISTED} | to \s whom \s it \s may \s concern | madame , \s monsieur | (?:chère \s)? madame , \s (?:cher \s)? monsieur | muy \s señor(?:es)? \s (?:mío|nuestro)s?
      | dear \s sir \s? / \s? madam ) \s*+ [,!.:–-]*+ \s*+ $"""
)
"""A greeting that fills its line: a list of people, or at most five words after it, and no verb's punctuation inside."""
OPENING_HELLO = re.compile(
    rf"""(?ix) ^ \s* {LISTED} \s* (?: [,!:] | [.–—-] (?= \s (?! (?: and | und | et | y | e ) \s ) ) ) [ ]+ (?=\S)
      (?! {ADDRESSED} {JOIN} {ADDRESSED} \b | {NAME} (?: \s+ {NAME} ){{0,2}} \s+ (?-i: [a-z]+ (?: er | or | ent | ist | an ) s | admins ) \s* [,:] )"""
)
"""A greeting of people that stands before the first sentence, on its line. What goes on as a list of names ("Hello World, Java and Python
are ...", "Hi Firefox, Safari users, ...") greets nobody."""
CLOSING = re.compile(
    rf"""(?ix) ^ \s* (?: (?: (?:(?:with|mit|very|many|kind|best|warm|warmest|kindest|sincere) \s){{0,2}}
        (?: regards | wishes | sincerely (?:\s yours)? | yours (?: \s (?:sincerely|faithfully|truly) )? | cheers | best | warmly | all \s the \s best | take \s care | talk \s soon
          | thanks (?:\s (?:and|&) \s (?:best \s|kind \s)? regards)? | freundlichen? \s grü(?:ß|ss)en? | freundlichem \s gru(?:ß|ss)
          | (?:viele|beste|liebe|herzliche|freundliche|schöne) \s grü(?:ß|ss)e | gru(?:ß|ss) | mfg | lg | vg | hochachtungsvoll | schönen \s tag (?: \s noch )?
          | have \s an? \s (?:nice|good|great|lovely|wonderful) \s (?:rest \s of \s your \s)? (?:day|week|weekend|evening|one) )
      | (?: many \s thanks | thanks (?: \s in \s advance | \s a \s lot | \s again )? | thank \s you (?: \s in \s advance | \s very \s much )?
          | (?:vielen|besten|herzlichen) \s dank (?: \s im \s voraus )? | danke (?: \s im \s voraus | \s schön )?
          | merci (?: \s d['’]avance | \s beaucoup )? | (?:muchas \s)? gracias (?: \s de \s antemano )? )
      | (?:bien \s)? cordialement | (?:bien \s à \s vous) | sincères \s salutations | amicalement | à \s bientôt | (?:belle|bonne) \s (?:journée|soirée) | bon \s week-?end
      | (?:veuillez \s agréer|je \s vous \s prie \s d['’]agréer) .{{0,90}} (?: salutations (?: \s distinguées )? | considération (?: \s distinguée )? )
      | (?:reciba[ns]? \s)? (?:un \s)? (?:cordial(?:es)? \s)? saludos? (?: \s cordial(?:es)? )? | un \s abrazo | atentamente | quedamos \s a \s su \s disposición
      | (?:cordiali|distinti) \s saluti | (?:un \s)? (?:cordiale|caro) \s saluto | saluti | buona \s (?:giornata|serata) | a \s presto | (?:mille \s)? grazie (?: \s mille | \s in \s anticipo )?
      | (?:com \s os \s)? (?:melhores \s)? cumprimentos | atenciosamente | att | abraços? | até \s (?:breve|logo) | (?:muito \s)? obrigad[oa]
      | (?:met \s)? (?:vriendelijke|hartelijke) \s groet(?:en)? | groet(?:en|jes)? | mvg | fijne \s (?:dag|avond) (?: \s verder )? | (?:alvast \s)? bedankt
      | (?:serdecznie \s)? pozdrawiam (?: \s serdecznie )? | z \s poważaniem | z \s wyrazami \s szacunku | miłego \s dnia
      | с \s уважением | с \s наилучшими \s пожеланиями | всего \s (?:доброго|хорошего) | хорошего \s (?:дня|вечера) | спасибо (?: \s заранее )? )
      (?: \s (?:from|aus|de) \s .{{1,40}} | (?: \s* [,–-] \s* | {SURE} \s+ ) {PERSON} (?: {JOIN} {PERSON} ){{0,4}} )?
    | (?:your|the|ihr|dein|euer) \s (?:\w+ \s){{0,3}} (?:(?-i:[Tt]eam)|serviceteam|kundenservice) (?: \s (?:of|at|from|von|vom|der) \s .{{1,30}} )? ) \s*+ [,.!]*+ \s*+ $"""
)
"""A closing line, with or without the names of who sends."""
BARE_HELLO = re.compile(rf"(?ix) ^ \s* {GREET} \s* $")
"""A greeting without a name or a comma: a sentence may be about the word."""
DOUBTFUL_CLOSING = re.compile(
    r"(?i)^\s*(?:best|cheers|yours|warmly|lg|vg|thanks|danke|merci|gracias|grazie|saluti|obrigad[oa]|abraços?|att|bedankt|groet(?:en)?|спасибо)[\s,.!]*$"
)
"""A word that closes a letter, or is one of a list."""
LG_NAMES = re.compile(r"(?i)^\s*lg\s+\w+\s+(?!und\b)\w")
"""A German closing with two names, or a thing of that maker."""
GERMAN = re.compile(
    r"(?i)[äöüß]|\b(?:und|oder|der|das|ist|sind|nicht|sie|ich|wir|bitte|mit|dann|einen?|danke)\b"
)

SEPARATOR = re.compile(
    r"""(?ix) ^ \s* (?:
        [-_=*#]{3,} \s* (?: original \s message | (?:begin \s)? forwarded \s message | urspr(?:ü|ue)ngliche \s nachricht
            | weitergeleitete \s nachricht | message \s (?:d'origine|original|transféré) | mensaje \s (?:original|reenviado)
            | messaggio \s originale | (?:vidarebefordrat|ursprungligt) \s meddelande | (?:videresendt|oprindelig|opprinnelig) \s (?:besked|meddelelse|melding) | oorspronkelijk \s bericht | reply \s above \s this \s line
            | please \s type \s your \s reply \s above \s this \s line ) .*
      | begin \s forwarded \s message: .*
    ) $"""
)
"""A line below which another mail begins. A line of underscores alone may belong to a form: the fields below it decide."""
REPLY_ABOVE = re.compile(r"(?i)^\W*(?:please type your reply|reply) above this line\W*$")
"""What help desks put at the top of what they send."""
DESK_RULER = re.compile(r"^\s*-{10,}\s*$")
DESK_TIME = re.compile(r"\b\d\d?:\d\d(?:\s?[AP]M)?(?:\s(?:GMT|UTC|CES?T)?[+-]?[\d:]*)?\s*$")
"""Below a ruler: a name and a time, on one line or two, say whose words follow in a help desk's mail."""
COMMENT_HEAD = re.compile(r"^\d\d?/\w{3,4}/\d\d(?:\d\d)? \d\d?:\d\d(?: [AP]M)?;[^;\n]{1,80};")
"""What Jira's exports put before the text of a comment: time and writer."""
RULER = re.compile(r"^\s*_{20,}\s*$")
INTRODUCTION = re.compile(
    r"""(?ix) ^ \s*+ (?:> \s*+)*+ (?:
        (?: on | am | op | le | el | il | op | em | den | dne | dnia | w \s dniu ) \b (?= .* \d ) .{5,200}
            (?: wrote | schrieb (?:en)? (?: \s .* )? | a \s écrit | escribió | ha \s scritto | schreef (?: \s .* )? | geschreven | escreveu | skrev (?: \s .* )? | napsal\(?a?\)? | napisał\(?a?\)? )
      | \d{4}[-/.]\d\d?[-/.]\d\d? .{3,150} (?: wrote | <[^<>\s]+@[^<>\s]+> )
      | (?= .* (?: \d{4} | \d:\d\d )) .{3,150} <[^<>\s]+@[^<>\s]+> [^<>]{0,20} [:：]
    ) \s* :? \s* $"""
)
"""How a client says whose words follow, on one line: by a date and a verb."""
BEGINNING = re.compile(r"(?i)\s*+(?:>\s*+)*+(?:on|am|le|el)\s")
FIELD = re.compile(
    r"(?i)^\s*+(?:>\s*+)*+\*?(?:from|von|de|da|van|sent|gesendet|envoyé|enviado(?: el)?|inviato|date|datum|to|an|à|para|a|aan"
    r"|subject|betreff|objet|asunto|oggetto|onderwerp|cc)\s*:\*?\s*\S"
)
"""A header line of a quoted mail."""
SENDER = re.compile(r"(?i)^\s*+(?:>\s*+)*+\*?(?:from|von|de|da|van)\s*:")
OF_MAIL = re.compile(
    r"(?i)^\s*+(?:>\s*+)*+\*?(?:sent|gesendet|envoyé|enviado(?: el)?|inviato|subject|betreff|objet|asunto|oggetto|onderwerp)\s*:"
)
"""A field that only a mail has; a route has "from: Berlin, to: Hamburg" too."""
DISCLAIMERS = re.compile(
    r"""(?ix) ^ \s* (?: disclaimer \s* :? \s* $
      | disclaimer \b .{0,200} \b (?:confidential|intended|privileged|recipient|unauthori[sz]ed)
      | confidential(?:ity)? \s (?:notice|note) | caution: \s .{0,60} \b (?:e-?mail|message|sender|external)
      | this \s (?:e-?mail|message|communication) \b .{0,120} \b (?:confidential|privileged|intended)
      | the \s information \s (?:contained|transmitted) \b .{0,120} \b (?:confidential|intended)
      | diese \s (?:e-?mail|nachricht) \b .{0,120} \b (?:vertraulich|rechtlich \s geschützt)
      | ce \s (?:message|courriel|e-?mail) \b .{0,120} \b confidentiel
      | este \s (?:mensaje|correo) \b .{0,120} \b confidencial
      | (?:please|bitte) \s (?:consider|think \s of|denken|prüfen) \b .{0,80} \b (?:environment|print|umwelt|druck) )"""
)
DEVICE = re.compile(
    r"(?i)^\s*(?:sent (?:from|via|with) (?:my |outlook|mail for|yahoo|proton)|get outlook for|von meinem .{2,30} gesendet|gesendet (?:von|mit) "
    r"|envoyé (?:de|depuis) mon|enviado desde mi)\S*.{0,40}$"
)
"""What a telephone signs with."""
DASHES = re.compile(r"^-- ?$")
ANNOUNCEMENT = re.compile(r"^\s*+(?:>\s*+)*+(?:-{3,}.{3,60}-{2,}|[^\W\d_](?:[\w' ]{3,60}):)\s*$")
"""A line of dashes around words, or a few words and a colon."""
AUTOMATIC = re.compile(
    r"""(?ix) \b (?: auto(?:mat(?:ic|ed))? [ -] (?:reply|response|message|acknowledg\w+) | out \s of (?:\s the)? \s office
      | (?:we (?:\s have|'ve)? | has \s been) \s received \s your \s (?:message|request|e-?mail|ticket|enquiry|inquiry)
      | your \s (?:ticket|request|case|message) \b .{0,40} \b (?:has \s been|was) \s (?:received|created|logged|registered)
      | (?:please \s)? do \s not \s (?:reply|respond) \s to \s this \s (?:e-?mail|message)
      | automatische \s (?:antwort|nachricht|eingangsbestätigung) | abwesenheitsnotiz
      | wir \s haben \s (?:ihre|deine) \s (?:nachricht|anfrage|e-?mail) \b .{0,30} \b erhalten
      | (?:ihre|deine) \s (?:nachricht|anfrage|e-?mail) \s ist \b .{0,20} \b eingegangen
      | (?:message|réponse) \s automatique | nous \s avons \s bien \s reçu \s votre | respuesta \s automática | hemos \s recibido \s su
      | (?:i \s am|i['’]m) \s (?:\w+ \s)? (?: away \s from | on \s (?:annual \s)? leave | on \s (?:vacation|holidays?) )
      | ich \s bin \b .{0,50} \b (?: nicht \s (?:im \s (?:büro|haus)|erreichbar) | im \s urlaub | außer \s haus | abwesend )
      | je \s suis \b .{0,20} \b (?: absente? | en \s (?:congés?|vacances) ) | estoy \b .{0,20} \b (?: fuera \s de | de \s vacaciones ) )"""
)
"""A short text that holds one of these is not an answer."""
THANKED = re.compile(
    r"""(?ix) \b (?: thank(?:s|\s you) \s for \s (?: contacting | reaching \s out | getting \s in \s touch | writing | (?:your|the) \s (?:message|e-?mail|request|enquiry|inquiry|ticket) )
      | dank \s (?: für \s (?:ihre|deine|die) \s (?:nachricht|anfrage|e-?mail|mail|kontaktaufnahme) | ,? \s dass \s sie )
      | merci \s (?: de \s (?:nous \s avoir|votre) | d['’]avoir | pour \s votre ) | gracias \s por \s (?: contactar | escribir | su \b | ponerse ) )"""
)
PROMISED = re.compile(
    r"""(?ix) \b (?: (?:will|['’]ll) \s (?:\w+ \s)? (?: get \s back | be \s (?:in \s touch|with \s you) | repl(?:y|ied) | respond | answer | contact \s you | review | look \s into )
      | hear \s from \s us | (?: melden \s uns | kommen \s auf \s (?:sie|dich) \s zu | setzen \s uns .{0,40} in \s verbindung | schnellstmöglich | so \s (?:schnell|bald) \s wie \s möglich | umgehend | in \s kürze )
      | dans \s les \s (?:plus \s brefs|meilleurs) \s délais | (?:reviendrons|répondrons|recontacterons) | lo \s antes \s posible | a \s la \s mayor \s brevedad )"""
)
OURS = re.compile(
    r"(?i)\b(?:we|i|us|our|team|someone|colleagues?|agents?|your (?:message|e-?mail|request|enquiry|inquiry|ticket)|wir|uns|unser\w*|ich"
    r"|nous|notre|je|nos|nosotros|\w+(?:emos|rons))\b"
)
"""Who promises. A device that "will respond", or "umgehend" in an instruction, does not."""
NUMBERED = re.compile(
    r"(?i)\b(?:ticket|request|case|reference|vorgangs?|anfrage|dossier|demande|caso)[\w-]*\b.{0,30}\d{3,}|(?:do not|don't|nicht|ne pas) (?:reply|respond|antworten|y répondre)"
)
OTHER_WORDS = 12
"""Words that an acknowledgement may have besides thanks, promise and number: a greeting, the team's name."""
FORMULA_WORDS = 25
"""A longer sentence is more than a formula."""
AUTOMATIC_CHARACTERS = 500
"""A longer text that says so also answers."""
CODE_LINE = "x" * 80
"""Stands for a line of a code block: too long for a signature."""
LONGEST_SIGNATURE = 12
"""Lines below a closing or two dashes; more are no signature."""
PROSE_WORDS = 3
"""Words of a line that is none of a list."""
