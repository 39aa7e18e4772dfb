"""Put in front of PYTHONPATH by `tracer exec --stacks`: notes which line of Python connects.

CPython raises the audit event `socket.connect` in each connect(), in the thread and at the line
that calls it, with the socket (PEP 578, Python 3.8).
"""
import sys


def _begin():
    import os

    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [one for one in sys.path if os.path.abspath(one) != here]
    sites = os.environ.get("TRACER_SITES")
    if not sites or not hasattr(sys, "addaudithook"):
        return
    library = os.path.dirname(os.path.abspath(os.__file__)) + os.sep
    libraries = ("site-packages", "dist-packages", "_pytest", "pluggy")
    most = 16 << 20

    def is_own(file):
        return not (
            file.startswith(("<", library))
            or any(f"{os.sep}{name}{os.sep}" in file for name in libraries)
        )

    def note(socket, frame):
        if socket.family not in (2, 10):
            return
        calls = []
        while frame is not None and len(calls) < 4:
            code = frame.f_code
            if is_own(code.co_filename):
                calls.append(f"{code.co_name} ({code.co_filename}:{frame.f_lineno})")
            frame = frame.f_back
        words = [str(os.fstat(socket.fileno()).st_ino), os.environ.get("PYTEST_CURRENT_TEST", "")]
        line = "\t".join(words + calls).replace("\n", " ").encode("utf-8", "backslashreplace")
        # Opened for each line: a program may close descriptors that it does not know.
        file = os.open(sites, os.O_WRONLY | os.O_APPEND)
        try:
            if os.fstat(file).st_size < most:
                os.write(file, line[:4000] + b"\n")
        finally:
            os.close(file)

    def hook(event, arguments):
        if event == "socket.connect":
            try:
                note(arguments[0], sys._getframe(1))
            except Exception:
                # The program goes on as it would without.
                pass

    sys.addaudithook(hook)


_begin()
del _begin
# The one that this one hides.
_ours = sys.modules.pop("sitecustomize", None)
try:
    import sitecustomize
except ImportError as error:
    if error.name != "sitecustomize":
        raise
finally:
    sys.modules.setdefault("sitecustomize", _ours)
