"""DECNET's own API on a database of its own, with lifecycle rows that have ended and rows that run. Prints a JSON line {port, ended, running}, then serves until it is killed.

Asked by one line of JSON: {directory, password, ids}. No bus, no container engine, and none of the workers that it can embed.
"""
import asyncio
import json
import os
import secrets
import socket
import sys
from pathlib import Path

ask = json.loads(sys.stdin.readline())
directory = Path(ask["directory"])
os.chdir(directory)
os.environ.update({
    "HOME": str(directory), "DECNET_BUS_ENABLED": "false", "DECNET_JWT_SECRET": secrets.token_hex(32),
    "DECNET_ADMIN_USER": "admin", "DECNET_ADMIN_PASSWORD": ask["password"], "DECNET_CONTRACT_TEST": "true",
    "DECNET_SYSTEM_LOGS": str(directory / "system.log"),
})

import decnet.web.db.factory as factory  # noqa: E402
from decnet.web.db.sqlite.repository import SQLiteRepository  # noqa: E402

repo = SQLiteRepository(db_path=str(directory / "decnet.db"))
factory.get_repository = lambda **_: repo

import uvicorn  # noqa: E402
from decnet.web.api import app  # noqa: E402
from decnet.web.auth import get_password_hash  # noqa: E402


async def rows(status):
    ids = []
    for number in range(ask["ids"]):
        one = await repo.create_lifecycle({"decky_name": f"{status}-{number}", "host_uuid": None, "operation": "deploy"})
        await repo.update_lifecycle(one, {"status": status})
        ids.append(one)
    return ids


async def main():
    await repo.initialize()
    admin = await repo.get_user_by_username("admin")
    await repo.update_user_password(admin["uuid"], get_password_hash(ask["password"]))
    said = {"ended": await rows("succeeded"), "running": await rows("running")}
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(json.dumps({"port": listener.getsockname()[1], **said}), flush=True)
    await uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False)).serve(sockets=[listener])


asyncio.run(main())
