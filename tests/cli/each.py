"""each.py - runs the functions of a test file whose names begin with test_, each whatever the others did."""
import time
import traceback


class Skip(Exception):
    """What a test raises when it has nothing to ask here."""


def run(scope, wanted=(), fits=lambda name: True):
    """Those of the module `scope` (its globals) that fit and whose names hold one of `wanted`, if any; returns the exit
    status. The last line is "N passed, N failed"."""
    passed = failed = skipped = 0
    for name, test in list(scope.items()):
        if not name.startswith("test_") or not fits(name) or (wanted and not any(w in name for w in wanted)):
            continue
        begin = time.monotonic()
        try:
            test()
            passed += 1
            print(f"ok    {name} ({time.monotonic() - begin:.1f} s)", flush=True)
        except Skip:
            skipped += 1
        except Exception as error:  # a failed test must not hide the others
            failed += 1
            place = [f.lineno for f in traceback.extract_tb(error.__traceback__) if f.filename == scope["__file__"]]
            print(f"FAIL  {name} (line {place[-1]}): {str(error) or type(error).__name__}"[:1500], flush=True)
    print(f"{passed} passed, {failed} failed" + (f", {skipped} skipped" if skipped else ""))
    return 1 if failed or not passed else 0
