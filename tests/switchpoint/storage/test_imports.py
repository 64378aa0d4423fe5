import subprocess
import sys


def test_the_command_starts_without_the_stores_libraries() -> None:
    code = (
        "import sys, switchpoint.storage, switchpoint.command.publish.upload, switchpoint.command.cli.main\n"
        # setuptools' namespace .pth files may have made an empty `google` already.
        "libraries = ('google.cloud.', 'google.auth', 'google_crc32c', 'boto')\n"
        "sys.exit(any(name.startswith(libraries) for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_one_store_is_used_without_the_other() -> None:
    code = (
        "import sys, switchpoint.storage.store as stores\n"
        "stores.store_of('s3://bucket/x')\n"
        "sys.exit(any(name.startswith('google.cloud.storage') for name in sys.modules))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
