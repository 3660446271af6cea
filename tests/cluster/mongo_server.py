"""Serve MongoDB's protocol over TCP from one SQLite file; runs in mongoeco's own environment, not in ours.

python mongo_server.py FILE PORT, user and password in PHASELOOP_TEST_MONGO_USER and ..._PASSWORD.

With PHASELOOP_TEST_MONGO_UNCHECKED=1 it does not look for duplicates of unique numbers: for each document written it
would read all of the collection, which makes thousands of calculations a matter of hours. MongoDB looks into an index.
"""

import asyncio
import hashlib
import os
import signal
import sys


async def serve(file: str, port: int) -> None:
    """Serve until SIGTERM."""
    from mongoeco.engines.sqlite import SQLiteEngine
    from mongoeco.wire import AsyncMongoEcoProxyServer, WireAuthUser

    class Unchecked(SQLiteEngine):
        def _validate_document_against_unique_indexes(self, *arguments: object, **options: object) -> None:
            pass

    user, password = (os.environ[f"PHASELOOP_TEST_MONGO_{name}"] for name in ("USER", "PASSWORD"))
    digest = hashlib.md5(f"{user}:mongo:{password}".encode()).hexdigest()  # what SCRAM-SHA-1 of MongoDB agrees on
    users = (
        WireAuthUser(user, password, mechanisms=("SCRAM-SHA-256",)),
        WireAuthUser(user, digest, mechanisms=("SCRAM-SHA-1",)),
    )
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    engine = Unchecked if os.environ.get("PHASELOOP_TEST_MONGO_UNCHECKED") else SQLiteEngine
    async with AsyncMongoEcoProxyServer(engine=engine(file), port=port, auth_users=users):
        await stopped.wait()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], int(sys.argv[2])))
