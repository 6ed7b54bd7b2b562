"""DECNET's own run_deploy with stand-in agents: how long until every lifecycle row has ended. Prints one JSON line.

Argument: a JSON object {hosts, deckies, dispatch_seconds, directory}. The stand-in of an agent answers an order after
dispatch_seconds; what it would push then is taken in by DECNET's own function, while the next hosts are dispatched.
No container engine, network or bus is touched.
"""
import asyncio
import json
import os
import resource
import secrets
import sys
import time
import uuid
from pathlib import Path

ask = json.loads(sys.argv[1])
directory = Path(ask["directory"])
directory.mkdir(parents=True, exist_ok=True)
os.chdir(directory)
os.environ.update({
    "HOME": str(directory), "DECNET_BUS_ENABLED": "false", "DECNET_JWT_SECRET": secrets.token_hex(32),
    "DECNET_ADMIN_PASSWORD": secrets.token_hex(16), "DECNET_SYSTEM_LOGS": str(directory / "system.log"),
})

import decnet.swarm.client  # noqa: E402
from decnet.config import DecnetConfig, DeckyConfig  # noqa: E402
from decnet.lifecycle.runner import run_deploy  # noqa: E402
from decnet.web.db.sqlite.repository import SQLiteRepository  # noqa: E402
from decnet.web.router.swarm.api_heartbeat import _apply_lifecycle_deltas  # noqa: E402

pushes: list[asyncio.Task] = []


def stand_in(repo):
    class StandIn:
        def __init__(self, host, **_):
            self.host = host

        async def __aenter__(self):
            return self

        async def __aexit__(self, *_):
            return None

        async def deploy(self, config, **_):
            await asyncio.sleep(ask["dispatch_seconds"])
            deltas = [{"decky_name": d.name, "operation": "deploy", "status": "succeeded"} for d in config.deckies]
            pushes.append(asyncio.create_task(_apply_lifecycle_deltas(repo, self.host["uuid"], deltas)))

    return StandIn


def decky(host, number):
    name = f"d-{number}"
    return DeckyConfig(
        name=name, ip=f"10.79.{number // 250}.{number % 250 + 2}", services=["ssh", "http"], distro="debian",
        base_image="debian:bookworm-slim", hostname=name, host_uuid=host,
    )


async def main():
    repo = SQLiteRepository(db_path=str(directory / "decnet.db"))
    await repo.initialize()
    hosts = [str(uuid.uuid4()) for _ in range(ask["hosts"])]
    for number, host in enumerate(hosts):
        await repo.add_swarm_host({
            "uuid": host, "name": f"host-{number}", "address": "127.0.0.1", "agent_port": 1, "status": "active",
            "client_cert_fingerprint": "0" * 64, "cert_bundle_path": str(directory),
        })
    deckies = [decky(host, at * ask["deckies"] + n) for at, host in enumerate(hosts) for n in range(ask["deckies"])]
    config = DecnetConfig(mode="swarm", interface="eth0", subnet="10.79.0.0/16", gateway="10.79.0.1", deckies=deckies)
    decnet.swarm.client.AgentClient = stand_in(repo)
    begun, cpu = time.perf_counter(), time.process_time()
    ids = {}
    for one in deckies:
        ids[one.name] = await repo.create_lifecycle(
            {"decky_name": one.name, "host_uuid": one.host_uuid, "operation": "deploy"}
        )
    accepted = time.perf_counter()
    await run_deploy(repo, None, lifecycle_ids=ids, config=config)
    dispatched = time.perf_counter()
    await asyncio.gather(*pushes)
    ended = time.perf_counter()
    rows = list(ids.values())
    states = [row["status"] for at in range(0, len(rows), 200) for row in await repo.get_lifecycle_by_ids(rows[at:at + 200])]
    print(json.dumps({
        "accepted_seconds": accepted - begun, "dispatched_seconds": dispatched - begun, "ended_seconds": ended - begun,
        "succeeded": states.count("succeeded"), "cpu_seconds": time.process_time() - cpu,
        "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }))


asyncio.run(main())
