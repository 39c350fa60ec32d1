# Opens COUNT connections to HOST:PORT, where the agent serves health and metrics, and says nothing on any.
# Makes the file OPEN once all are open, and keeps them.
set -eu
ulimit -n 4096
for _ in $(seq "$COUNT"); do
    exec {connection}<>"/dev/tcp/$HOST/$PORT"
done
touch "$OPEN"
sleep infinity
