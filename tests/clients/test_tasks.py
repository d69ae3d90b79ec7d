def test_smoke(berth):
    d = berth.define("smoke", {"name": "a", "command": ["sh", "-c", "echo hello; exec sleep 1000"]})
    arn = berth.run_task(d)
    t = berth.wait_task(arn, "RUNNING")
    print(t)
    print(berth.census(), berth.supervisors(), berth.host_objects())
    print(berth.lines(arn))
