"""The files in /etc/pvc, as INI. What is wrong with one is said by its line number: the line itself may hold a password."""

import configparser


def parsed_ini(text: str, default_section: str = configparser.DEFAULTSECT, *, headless: bool = False) -> configparser.ConfigParser:
    """The sections and keys in this text; `headless`, lines above the first section are defaults. Raises ValueError with a sentence."""
    # No interpolation: a password may contain a percent sign. No inline comments: it may contain a semicolon.
    parser = configparser.ConfigParser(default_section=default_section, interpolation=None)
    try:
        parser.read_string(f"[{default_section}]\n{text}" if headless else text)
    except configparser.Error as error:
        raise ValueError(_sentence(error, 1 if headless else 0)) from error
    return parser


def _sentence(error: configparser.Error, added: int) -> str:
    match error:
        case configparser.MissingSectionHeaderError():
            return f"line {error.lineno - added} belongs to no section: [default] has to stand above it"
        case configparser.DuplicateOptionError():
            return f"line {(error.lineno or added) - added} says {error.option} again"
        case configparser.DuplicateSectionError():
            return f"line {(error.lineno or added) - added} begins [{error.section}] again"
        case configparser.ParsingError():
            numbers = ", ".join(str(number - added) for number, _ in error.errors)
            return f"line {numbers} is neither [SECTION] nor KEY = VALUE"
    return "it is no INI file"
