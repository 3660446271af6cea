"""Serve MongoDB's protocol over TCP from one SQLite file; runs in mongoeco's own environment, not in ours.

python mongo_server.py FILE PORT, user and password in PHASELOOP_TEST_MONGO_USER and ..._PASSWORD.

With PHASELOOP_TEST_MONGO_ENGINE=memory the documents stay in memory, and the file is not touched: for measurements with
thousands of calculations. The other engine reads a whole collection for much that MongoDB finds through an index, such
as whether a unique number is taken; this one looks into its indexes of one field.
"""

import asyncio
import hashlib
import os
import signal
import sys


async def serve(file: str, port: int) -> None:
    """Serve until SIGTERM."""
    from mongoeco.engines.memory import MemoryEngine
    from mongoeco.engines.sqlite import SQLiteEngine
    from mongoeco.wire import AsyncMongoEcoProxyServer, WireAuthUser

    user, password = (os.environ[f"PHASELOOP_TEST_MONGO_{name}"] for name in ("USER", "PASSWORD"))
    digest = hashlib.md5(f"{user}:mongo:{password}".encode()).hexdigest()  # what SCRAM-SHA-1 of MongoDB agrees on
    users = (
        WireAuthUser(user, password, mechanisms=("SCRAM-SHA-256",)),
        WireAuthUser(user, digest, mechanisms=("SCRAM-SHA-1",)),
    )
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    # its log of changes, which nobody listens to, would keep the last ten thousand documents
    in_memory = os.environ.get("PHASELOOP_TEST_MONGO_ENGINE") == "memory"
    engine = MemoryEngine(change_log_max_entries=1) if in_memory else SQLiteEngine(file)
    async with AsyncMongoEcoProxyServer(engine=engine, port=port, auth_users=users):
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
