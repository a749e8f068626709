"""Draws passwords for one run of Terraform: export TF_VAR_passwords="$(python infra/terraform/passwords.py)"

They are drawn anew each time and written only where an account has none yet, or where `password_version` was raised;
Terraform keeps none of them.
"""

from __future__ import annotations

import json
import secrets
import string
import sys
from pathlib import Path

import yaml

LETTERS = string.ascii_letters + string.digits
LENGTH = 40


def draw() -> dict[str, str]:
    """By account of services.yaml, and for the database's owner."""
    listed = yaml.safe_load(Path(__file__).with_name("services.yaml").read_text(encoding="utf-8"))
    names = (*listed["services"], *listed["accounts"], "database")
    return {name: "".join(secrets.choice(LETTERS) for _ in range(LENGTH)) for name in names}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(draw()))
