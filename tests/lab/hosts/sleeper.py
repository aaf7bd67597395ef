"""A service with a script in /etc/init.d, that does nothing for ever."""

from __future__ import annotations

#: As Debian's scripts are: with a header for the links, and a status that says whether it runs.
SCRIPT = """\
#!/bin/sh
### BEGIN INIT INFO
# Provides:          sleeper
# Required-Start:
# Required-Stop:
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
### END INIT INFO
DAEMON="--pidfile /run/sleeper.pid --exec /bin/sleep"
case "$1" in
    start) start-stop-daemon --start --oknodo --quiet --background --make-pidfile $DAEMON -- infinity;;
    stop) start-stop-daemon --stop --oknodo --quiet --retry 5 --remove-pidfile $DAEMON;;
    status) start-stop-daemon --status $DAEMON;;
    *) echo "Usage: sleeper {start|stop|status}"; exit 1;;
esac
"""
