"""Who asks, and things that exist: loaded by Schemathesis (SCHEMATHESIS_HOOKS). What a run needs stands in DECKHAND_SCENE."""

import json
import os
import random
import time
import zlib

import requests
import schemathesis

SCENE = json.loads(os.environ["DECKHAND_SCENE"])
PREFIX = "/api/v1"
TIMEOUT_S = 20
ATTEMPTS = 5


class Account:
    """A user whose token is renewed after a 401; an account without a name is nobody."""

    def __init__(self, account):
        self.account = account
        self.token = None

    def header(self):
        if self.account is None:
            return None
        if self.token is None:
            self.token = self.log_in()
        return "Bearer " + self.token

    def log_in(self):
        # An exception here would end the whole run, and a 503 says itself when to come again.
        for _ in range(ATTEMPTS):
            answer = requests.post(SCENE["api"] + PREFIX + "/auth/login", json=self.account, timeout=TIMEOUT_S)
            if answer.status_code != 503:
                break
            time.sleep(int(answer.headers["Retry-After"]))
        answer.raise_for_status()
        return answer.json()["access_token"]

    def refused(self):
        self.token = None

    def changed(self, password):
        self.account = {**self.account, "password": password}
        self.token = None


ACCOUNT = Account(SCENE["account"])


def drawn(key):
    """The same draw for the same value, so that a failure can be repeated."""
    return random.Random(zlib.crc32(repr(key).encode("utf-8", "replace")))


@schemathesis.hook
def before_call(context, case, kwargs):
    # Schemathesis finds the accounts of the runs in answers, and would reset or delete them.
    if (case.path_parameters or {}).get("user_uuid") in SCENE["spared"]:
        case.path_parameters["user_uuid"] = SCENE["known"]["user_uuid"][0]
    # A stream that nobody ends is no answer.
    if case.path.endswith("/stream"):
        asked = str((case.query or {}).get("maxOutput", "1"))
        case.query = {**(case.query or {}), "maxOutput": "1" if asked.isdigit() else asked}
    header = ACCOUNT.header()
    if header is not None:
        case.headers["Authorization"] = header


@schemathesis.hook
def after_call(context, case, response):
    if response.status_code == 401:
        ACCOUNT.refused()
    if response.status_code == 200 and case.path.endswith("/auth/change-password"):
        ACCOUNT.changed(case.body["new_password"])
    if response.status_code == 200 and case.path.endswith("/reset-password"):
        if case.path_parameters.get("user_uuid") == SCENE["own"]:
            ACCOUNT.changed(case.body["new_password"])


@schemathesis.hook
def map_path_parameters(context, path_parameters):
    """Half of the names are those of things that exist."""
    for name, known in SCENE["known"].items():
        value = (path_parameters or {}).get(name)
        if isinstance(value, str) and known:
            draw = drawn(value)
            if draw.random() < 0.5:
                path_parameters[name] = draw.choice(known)
    return path_parameters


@schemathesis.hook
def map_query(context, query):
    ids = (query or {}).get("ids")
    if isinstance(ids, list) and all(isinstance(one, str) for one in ids):
        query["ids"] = [drawn(one).choice([one, *SCENE["rows"]]) for one in ids]
    return query


@schemathesis.hook
def map_body(context, body):
    """Most INIs can be deployed, or nearly; most old passwords are right."""
    if isinstance(body, dict) and isinstance(body.get("old_password"), str) and ACCOUNT.account is not None:
        if drawn(body["old_password"]).random() < 0.8:
            body["old_password"] = ACCOUNT.account["password"]
    if isinstance(body, dict) and isinstance(body.get("ini_content"), str):
        draw = drawn(body["ini_content"])
        if draw.random() < 0.8:
            body["ini_content"] = draw.choice(SCENE["inis"])
    return body
