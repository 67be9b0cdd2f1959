import pytest

from lima.publish.leaks import in_text
from lima.publish.licences import front_matter, problems, read_licence


@pytest.mark.parametrize(
    ("words", "name", "problem"),
    [
        ("CC BY-SA 4.0", "cc-by-sa-4.0", None),
        ("cc by-sa 2.5", "cc-by-sa-2.5", None),
        ("CC BY-NC-SA 3.0", "cc-by-nc-sa-3.0", None),
        ("CC BY-NC-ND 4.0", "cc-by-nc-nd-4.0", "forbids changed versions"),
        ("Apache License 2.0", "apache-2.0", None),
        ("Apache-2.0", "apache-2.0", None),
        ("The MIT License", "mit", None),
        ("ODC PDDL 1.0", "pddl", None),
        ("llama3.1", "llama3.1", None),
        ("GPL-3.0-or-later", "gpl-3.0", None),
        ("All rights reserved", None, "forbids that others get it"),
        ("Company confidential", None, "forbids that others get it"),
        ("My Licence 1", None, "is not one that is known"),
        (None, None, "is not stated"),
    ],
)
def test_words_of_licences(words: str | None, name: str | None, problem: str | None) -> None:
    found = read_licence(words)
    assert found.name == name
    assert (found.problem or "").startswith(problem or "")
    assert (found.problem is None) == (problem is None)


def test_what_the_hub_does_not_list_is_other_with_name_and_link() -> None:
    assert front_matter(["CC BY-SA 4.0", "MIT"]) == {"license": ["cc-by-sa-4.0", "mit"]}
    assert front_matter(["CC BY-SA 2.5"]) == {
        "license": "other",
        "license_name": "cc-by-sa-2.5",
        "license_link": "https://creativecommons.org/licenses/by-sa/2.5/",
    }
    assert front_matter(["Our Own Terms 2"]) == {"license": "other", "license_name": "our-own-terms-2"}
    assert front_matter([]) == {}


def test_a_remedy_stands_where_there_is_one() -> None:
    unstated, frozen = problems({"none stated": 2, "CC BY-ND 4.0": 1, "MIT": 9}, "rows", "give one")
    assert unstated.text == "the licence of 2 rows is not stated (give one)"
    assert (
        frozen.text
        == "the licence 'CC BY-ND 4.0' of 1 rows forbids changed versions, and curation changes texts"
    )


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("export HF_TOKEN=hf_" + "aB3" * 11 + "Z", "a token of Hugging Face"),
        ("git clone https://ann:s3cretword@host.example/x", "a password in an address"),
        ("-----BEGIN OPENSSH PRIVATE KEY-----", "a private key"),
        ("ghp_" + "a1B2" * 9, "a token of GitHub"),
        ("use sk-ant-api03-" + "x" * 30, "a key of OpenAI or Anthropic"),
        ("xoxb-123456789012-abc", "a token of Slack"),
        ("eyJhbGciOiJIUzI1.eyJzdWIiOiIxMjM0.SflKxwRJSMeKKF2QT4", "a JSON web token"),
    ],
)
def test_secrets_are_found_by_their_form_and_not_shown(text: str, what: str) -> None:
    (found,) = in_text(f"line one\n{text}\n", "a.txt")
    assert found.text == f"a.txt:2: {what}"


@pytest.mark.parametrize(
    "text",
    [
        "hf_hub_download and hf_transfer are names",
        "postgresql://user:$PASSWORD@host/db, http://USER:<password>@host, https://example.com/a:b@c",
        "sk-learn, sk-8 and risk-based-approach-to-everything-else",
        "a commit 0f3cc8d0b3f1e2a4c5d6e7f8091a2b3c4d5e6f70 and AKIA alone",
        "ssh-rsa AAAAB3NzaC1yc2E is a public key",
    ],
)
def test_what_only_looks_like_a_secret(text: str) -> None:
    assert not list(in_text(text, "a"))
