import json
import subprocess
import sys

import controlplane.runtime

HEAVY = ("boto3", "botocore", "fastapi", "flask", "psycopg", "pydantic", "sqlalchemy", "uvicorn", "werkzeug")


def test_the_door_is_sorted_and_everything_in_it_is_there() -> None:
    names = controlplane.runtime.__all__
    assert names == sorted(set(names))
    assert [name for name in names if not hasattr(controlplane.runtime, name)] == []


def test_a_fresh_interpreter_loads_nothing_of_the_site_and_no_provider() -> None:
    code = "import json, sys, controlplane.runtime; print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = json.loads(result.stdout)
    assert "jinja2" in loaded
    assert "msgspec" in loaded
    assert [name for name in HEAVY if name in loaded] == []
