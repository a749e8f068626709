"""What is said of values, in the words of those who can mend them."""

from __future__ import annotations

from consumers.validate.rule import Rule

RULES: dict[str, Rule] = {
    # What kind of value
    "vr_differs": Rule(
        "warning", "PS3.6 6", "The element is written as another kind of value than the dictionary gives it."
    ),
    "element_unknown": Rule("info", "PS3.6 6", "Our copy of the standard's dictionary does not have this element."),
    "vm": Rule("error", "PS3.6 6", "The element has more or fewer values than the dictionary allows."),
    "value_length": Rule("error", "PS3.5 6.2", "The length of a binary value is no multiple of one number's."),
    "sequence_broken": Rule(
        "error", "PS3.5 7.5", "The items of a sequence do not hold together; what is in them was not looked at."
    ),
    "values_unchecked": Rule(
        "info", None, "There is more in it than is looked at value by value; the last values were not checked."
    ),
    # Private elements
    "private_group": Rule("error", "PS3.5 7.8", "Private elements may not be in this group."),
    "private_creator_vr": Rule(
        "error", "PS3.5 7.8.1", "The name of a private block's maker is not written as text (LO)."
    ),
    "private_creator_empty": Rule("warning", "PS3.5 7.8.1", "A private block has no name of its maker."),
    "private_element": Rule("warning", "PS3.5 7.8.1", "A private element stands outside of every private block."),
    "private_creator_missing": Rule(
        "warning",
        "PS3.5 7.8.1",
        "A private element's block was reserved by no maker, so nobody can tell what it means.",
    ),
    # How values are written
    "ae_title": Rule("error", "PS3.5 6.2", "This is no Application Entity title: printable ASCII, not only spaces."),
    "age": Rule("error", "PS3.5 6.2", "This is no age: three digits and D, W, M or Y, such as 018M."),
    "code_string": Rule(
        "error", "PS3.5 6.2", "A code has characters other than capital letters, digits, space and underscore."
    ),
    "date": Rule("error", "PS3.5 6.2", "This is no date of the calendar, written as eight digits: YYYYMMDD."),
    "decimal_string": Rule("error", "PS3.5 6.2", "This is no decimal number."),
    "date_time": Rule("error", "PS3.5 6.2", "This is no date and time, written as YYYYMMDDHHMMSS.FFFFFF&ZZXX."),
    "integer_string": Rule("error", "PS3.5 6.2", "This is no whole number."),
    "integer_range": Rule("error", "PS3.5 6.2", "A whole number is outside of -2147483648 to 2147483647."),
    "person_name": Rule(
        "error", "PS3.5 6.2", "A name has more than three groups between '=', or more than five parts between '^'."
    ),
    "time": Rule("error", "PS3.5 6.2", "This is no time of day, written as HHMMSS.FFFFFF without colons."),
    "uid": Rule("error", "PS3.5 9.1", "This is no UID: digits with dots between them, at most 64 characters."),
    "uid_of_zeros": Rule("error", "PS3.5 9.1", "A UID has nothing but zeros, so it names nothing."),
    "uri": Rule("error", "PS3.5 6.2", "This is no address (URI): it has characters that none may have."),
    "too_long": Rule("error", "PS3.5 6.2", "A text has more characters than its kind of value may have."),
    "padding": Rule("warning", "PS3.5 6.2", "A value is filled up with the wrong character at its end."),
    "control_character": Rule("error", "PS3.5 6.1.3", "A text has control characters in it."),
    # Character sets
    "charset_unknown": Rule(
        "error", "PS3.3 C.12.1.1.2", "The standard has no character set of this name.", "0008,0005"
    ),
    "charset_combination": Rule(
        "error", "PS3.3 C.12.1.1.2", "These character sets may not be used together.", "0008,0005"
    ),
    "charset_missing": Rule(
        "error", "PS3.5 6.1.2.2", "A text has characters beyond ASCII, and no character set says which they are."
    ),
    "charset_undecodable": Rule(
        "error", "PS3.5 6.1", "A text has bytes that mean nothing in the character set of this data set."
    ),
    "charset_escape": Rule(
        "error", "PS3.5 6.1.2.5", "A text switches to a character set that Specific Character Set does not name."
    ),
    # What values may be
    "enumerated_value": Rule(
        "error", "PS3.3", "The value is none of those that the standard lists for this attribute."
    ),
}
