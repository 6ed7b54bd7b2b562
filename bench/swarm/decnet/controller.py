"""DECNET's own swarm controller over mutual TLS, on a database of its own. Prints a JSON line {port}, then serves until it is killed.

Argument: a JSON object {directory, ca, cert, key, hosts: [{uuid, name, fingerprint}]}.
"""
import asyncio
import json
import os
import secrets
import socket
import ssl
import sys
from pathlib import Path

ask = json.loads(sys.stdin.readline())
directory = Path(ask["directory"])
directory.mkdir(parents=True, exist_ok=True)
os.chdir(directory)
os.environ.update({
    "HOME": str(directory), "DECNET_BUS_ENABLED": "false", "DECNET_JWT_SECRET": secrets.token_hex(32),
    "DECNET_ADMIN_PASSWORD": secrets.token_hex(16), "DECNET_SYSTEM_LOGS": str(directory / "system.log"),
})

import decnet.web.db.factory as factory  # noqa: E402
from decnet.web.db.sqlite.repository import SQLiteRepository  # noqa: E402

repo = SQLiteRepository(db_path=str(directory / "decnet.db"))
factory.get_repository = lambda **_: repo

import uvicorn  # noqa: E402
from decnet.web.swarm_api import app  # noqa: E402


async def main():
    await repo.initialize()
    for host in ask["hosts"]:
        await repo.add_swarm_host({
            "uuid": host["uuid"], "name": host["name"], "address": "127.0.0.1", "agent_port": 1, "status": "active",
            "client_cert_fingerprint": host["fingerprint"], "cert_bundle_path": str(directory),
        })
    config = uvicorn.Config(
        app, log_level="warning", access_log=False, ssl_certfile=ask["cert"], ssl_keyfile=ask["key"],
        ssl_ca_certs=ask["ca"], ssl_cert_reqs=ssl.CERT_REQUIRED,
    )
    listener = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(json.dumps({"port": listener.getsockname()[1]}), flush=True)
    await uvicorn.Server(config).serve(sockets=[listener])


asyncio.run(main())
