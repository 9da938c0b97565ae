"""Guards a tool-calling loop: every call is decided by `raincoat gate --stdio` before it is made."""
import json, subprocess, sys

class Gate:
    def __init__(self, prompt, tools, command=("raincoat", "gate", "--stdio")):
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.tools = tools
        described = [{"name": n, "description": f.__doc__, "parameters": f.schema} for n, f in tools.items()]
        if not self.say({"type": "begin", "prompt": prompt, "tools": described}, True).get("ok"):
            raise RuntimeError("the gate does not know what to guard")

    def say(self, message, wait=False):
        self.process.stdin.write(json.dumps(message) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline() or '{"decision": "deny"}') if wait else None

    def call(self, name, **arguments):
        verdict = self.say({"type": "call", "function": name, "args": arguments}, True)
        if verdict["decision"] == "ask" and sys.stdin.isatty():
            answer = input(f"{name} {json.dumps(arguments)}\n{verdict['reason']}\nDo it? [y/N] ")
            verdict["decision"] = "allow" if answer == "y" else "deny"
        if verdict["decision"] != "allow":
            return f"not done: {verdict.get('reason', 'the gate is gone')}"   # the agent is told why
        output, error = None, None
        try:
            output = str(self.tools[name](**arguments))
        except Exception as failure:
            output = error = str(failure)
        self.say({"type": "result", "function": name, "output": output, "error": error})
        return output
