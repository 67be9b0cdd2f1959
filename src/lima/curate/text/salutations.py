"""How mails begin and end: greetings and closings of several languages, with the names of everybody in them."""

from __future__ import annotations

import re

GREET = r"""(?: hi | hello | hey | dear | greetings | good \s (?:morning|afternoon|evening|day) | hallo | guten \s (?:tag|morgen|abend) | liebe[rs]? | sehr \s geehrte[rs]?
    | (?:sehr \s)? verehrte[rs]? | werte[rs]? | moin (?: [ ]moin )? | servus | grüezi | grüß \s (?:gott|dich|sie|euch) | bonjour | bonsoir | ch(?:er|ère)s? | salut | hola
    | estimad[oa]s? | querid[oa]s? | apreciad[oa]s? | buenos \s días | buenas \s (?:tardes|noches) | ciao | buongiorno | gentil[ei] | beste | geachte )"""
TITLE = r"""(?: mrs? | ms | mx | miss | dr | prof(?:essor)? | sir | frau | herrn? | madame | monsieur | m | mme | mlle | messieurs | señora?s? | señores | sra? | sres | don | doña | signora?
    | de \s heer | mevrouw | ing | dipl )"""
NAME = r"(?-i: [A-ZÀ-ÖØ-Þ] (?: \. | [\w'’-]+ ) )"
PARTICLE = (
    r"(?: van | von | der | den | ten | zu | zur | und \s zu | de | del | la | da | di | le | al | el | bin )"
)
GROUP = r"""(?: all | everyone | everybody | team | there | folks | both | colleagues | friends? | customers? | clients? | users? | madam | sir (?: \s (?:or|/) \s madam )? | zusammen | alle
    | allerseits | kund(?:en|e|in|innen) | damen | herren | kolleg(?:en|innen|e|in) | team | tous | toutes | (?:à|a) \s (?:tous|toutes|todos|todas) | équipe | cliente? | clientes
    | equipo | todos | todas | \[ \w+ \] )"""
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
      | cordiali \s saluti | met \s vriendelijke \s groeten? )
      (?: \s (?:from|aus|de) \s .{{1,40}} | (?: \s* [,–-] \s* | {SURE} \s+ ) {PERSON} (?: {JOIN} {PERSON} ){{0,4}} )?
    | (?:your|the|ihr|dein|euer) \s (?:\w+ \s){{0,3}} (?:(?-i:[Tt]eam)|serviceteam|kundenservice) (?: \s (?:of|at|from|von|vom|der) \s .{{1,30}} )? ) \s*+ [,.!]*+ \s*+ $"""
)
"""A closing line, with or without the names of who sends."""
BARE_HELLO = re.compile(rf"(?ix) ^ \s* {GREET} \s* $")
"""A greeting without a name or a comma: a sentence may be about the word."""
DOUBTFUL_CLOSING = re.compile(
    r"(?i)^\s*(?:best|cheers|yours|warmly|lg|vg|thanks|danke|merci|gracias)[\s,.!]*$"
)
"""A word that closes a letter, or is one of a list."""
LG_NAMES = re.compile(r"(?i)^\s*lg\s+\w+\s+(?!und\b)\w")
"""A German closing with two names, or a thing of that maker."""
GERMAN = re.compile(
    r"(?i)[äöüß]|\b(?:und|oder|der|das|ist|sind|nicht|sie|ich|wir|bitte|mit|dann|einen?|danke)\b"
)
