#!/system/bin/sh
# bench.sh [COUNT]: what COUNT (100) application containers cost, as lines "figure NAME VALUE UNIT". recipes/bench.yaml runs it.
# bench.sh alone: no more than a start beside the engine's own run, where nothing else runs.
# bench.sh start: the same, in memory. `ci/bench.sh start` runs it.
set -eu

count=${1:-100}
template=bench
rounds=20
now() { # milliseconds since the machine started, in steps of 10
	read -r up _ </proc/uptime
	echo "${up%.*}${up#*.}0" | sed 's/^0*//'
}
available() { # KiB
	sed -n 's/^MemAvailable: *\([0-9]*\).*/\1/p' /proc/meminfo
}
figure() {
	echo "figure $*"
}
percentile() { # FILE PERCENT
	sort -n "$1" | awk -v p="$2" '{ v[NR] = $1 } END { i = int((NR * p + 99) / 100); print v[i < 1 ? 1 : i] }'
}
# The mean of the middle half: whatever else the host does is in the extremes.
middle() { # FILE
	sort -n "$1" | awk '{ v[NR] = $1 } END { for (i = int(NR / 4) + 1; i <= NR - int(NR / 4); i++) { sum += v[i]; n++ } print int(sum / n + 0.5) }'
}
# A start, and the engine's own run of the same bundle, several times. The engine makes the network namespace and the cgroup itself; the root
# is mounted for it. What was stopped last is still being put away by the kernel when the next begins, so each follows itself as often as
# the other.
beside() { # CTID [PREFIX]
	id=$1
	round=0
	bundle=/system/tmp/bundle
	mkdir -p $bundle
	vzctl --quiet start "$id"
	sed 's#,"path":"/proc/[^"]*"##; s#"cgroupsPath":"[^"]*"#"cgroupsPath":"/bench"#; s#"/system/run/vz/bundle/[^"]*/root"#"/vz/root/'"$id"'"#' \
		"/system/run/vz/bundle/$id/config.json" >$bundle/config.json
	vzctl --quiet stop "$id" --fast
	: >/system/tmp/ours
	: >/system/tmp/engine
	while [ "$round" -lt "$rounds" ]; do
		round=$((round + 2))
		ours "$id"
		engine "$id"
		engine "$id"
		ours "$id"
	done
	figure "${2-}start" "$(middle /system/tmp/ours)" us
	figure "${2-}engine-run" "$(middle /system/tmp/engine)" us
}
ours() { # CTID
	elapsed /system/tmp/ours vzctl --quiet start "$1"
	vzctl --quiet stop "$1" --fast
}
engine() { # CTID
	vzctl --quiet mount "$1"
	elapsed /system/tmp/engine crun --cgroup-manager=cgroupfs run --detach --console-socket /system/tmp/terminals \
		--bundle $bundle bench </dev/null >/dev/null 2>&1
	crun --cgroup-manager=cgroupfs delete --force bench
	vzctl --quiet umount "$1"
}

ptysink /system/tmp/terminals &
if [ "$count" = start ]; then
	rounds=8
	vzctl --quiet create 1000 --ostemplate live --layout app --config app --ipadd 10.8.0.1
	beside 1000
	echo "benchmark done"
	exit
fi

total=$(sed -n 's/^MemTotal: *\([0-9]*\).*/\1/p' /proc/meminfo)
sync
echo 3 >/proc/sys/vm/drop_caches
figure live-idle $(((total - $(available)) / 1024)) MiB

vzctl --quiet create 1000 --ostemplate $template --layout app --config app --ipadd 10.8.0.1
beside 1000 alone-
if [ "$count" = alone ]; then
	echo "benchmark done"
	exit
fi

before=$(available)
: >/system/tmp/create
: >/system/tmp/start
id=1001
while [ "$id" -le $((1000 + count)) ]; do
	begin=$(now)
	vzctl --quiet create $id --ostemplate $template --layout app --config app --ipadd 10.9.$((id / 250)).$((id % 250 + 1))
	middle=$(now)
	vzctl --quiet start $id
	end=$(now)
	echo $((middle - begin)) >>/system/tmp/create
	echo $((end - middle)) >>/system/tmp/start
	id=$((id + 1))
done
for what in create start; do
	for percent in 50 99; do
		figure "$what-p$percent" "$(percentile /system/tmp/$what $percent)" ms
	done
done
# Whether a start costs more, the more containers there are: the first twenty and the last twenty.
for end in head tail; do
	$end -n 20 /system/tmp/start >/system/tmp/$end
	figure "start-$end" "$(middle /system/tmp/$end)" ms
done

# The last one answers, so they run; what they take is what is no longer available, caches given back.
until wget -q -O- "http://10.9.$(((1000 + count) / 250)).$(((1000 + count) % 250 + 1))/" >/dev/null 2>&1; do usleep 100000; done
sync
echo 3 >/proc/sys/vm/drop_caches
figure running "$(vzlist -H -o ctid | wc -l)" containers
figure memory-each $(((before - $(available)) / count)) KiB
: >/system/tmp/list
for round in 1 2 3 4 5; do elapsed /system/tmp/list vzlist -a >/dev/null; done
figure list-all "$(middle /system/tmp/list)" us

vzctl --quiet stop 1001 --fast
beside 1001
echo "benchmark done"
