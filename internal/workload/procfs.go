package workload

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// stat is what is needed of /proc/<pid>/stat.
type stat struct {
	state       byte
	group       int
	cpuTicks    int64 // own and waited-for children
	startTicks  uint64
	residentPgs int64
}

// parseStat reads fields by number behind the last parenthesis: the program's name may hold anything.
func parseStat(b []byte) (stat, error) {
	i := bytes.LastIndexByte(b, ')')
	f := strings.Fields(string(b[i+1:]))
	if i < 0 || len(f) < 22 {
		return stat{}, errors.New("cannot read the process's stat")
	}
	at := func(field int) int64 { // numbered as in proc(5)
		n, _ := strconv.ParseInt(f[field-3], 10, 64)
		return n
	}
	return stat{state: f[0][0], group: int(at(5)), cpuTicks: at(14) + at(15) + at(16) + at(17),
		startTicks: uint64(at(22)), residentPgs: at(24)}, nil
}

func readStat(pid int) (stat, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return stat{}, err
	}
	return parseStat(b)
}

// sameProcess reports whether pid is still the process that started then, and has not exited. A zombie has.
func sameProcess(pid int, startTicks uint64) bool {
	st, err := readStat(pid)
	return err == nil && st.startTicks == startTicks && st.state != 'Z' && st.state != 'X'
}

func bootID() string {
	b, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	return strings.TrimSpace(string(b))
}

// marked is a live process that carries an instance token.
type marked struct {
	pid, group int
	startTicks uint64
	token      string
}

// scanMarked finds the processes whose token begins with prefix. Other users' processes cannot be read and
// are none of ours.
func scanMarked(prefix string) []marked {
	dirs, _ := filepath.Glob("/proc/[0-9]*")
	var out []marked
	for _, d := range dirs {
		pid, err := strconv.Atoi(filepath.Base(d))
		if err != nil || pid == os.Getpid() {
			continue
		}
		token := tokenOf(pid)
		if token == "" || !strings.HasPrefix(token, prefix) {
			continue
		}
		if st, err := readStat(pid); err == nil && st.state != 'Z' && st.state != 'X' {
			out = append(out, marked{pid: pid, group: st.group, startTicks: st.startTicks, token: token})
		}
	}
	return out
}

func tokenOf(pid int) string {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/environ")
	if err != nil {
		return ""
	}
	for kv := range bytes.SplitSeq(b, []byte{0}) {
		if v, ok := bytes.CutPrefix(kv, []byte(tokenVar+"=")); ok {
			return string(v)
		}
	}
	return ""
}

// sweep kills every process for which unwanted(token) holds, until a scan finds none: what a process forks
// between scan and kill is found by the next. A pidfd keeps the number from meaning another process.
func sweep(prefix string, unwanted func(token string) bool) (killed int) {
	for range 10 {
		found := 0
		for _, m := range scanMarked(prefix) {
			if !unwanted(m.token) {
				continue
			}
			fd, err := unix.PidfdOpen(m.pid, 0)
			if err != nil {
				continue
			}
			if sameProcess(m.pid, m.startTicks) && unix.PidfdSendSignal(fd, unix.SIGKILL, nil, 0) == nil {
				found++
			}
			_ = unix.Close(fd)
		}
		if found == 0 {
			break
		}
		killed += found
	}
	return killed
}

// usage sums CPU time and resident memory over a process and its descendants.
func usage(pid int) (cpuSeconds float64, rssBytes int64) {
	const mostProcesses = 500
	pids := []int{pid}
	for i := 0; i < len(pids) && len(pids) < mostProcesses; i++ {
		st, err := readStat(pids[i])
		if err != nil {
			continue
		}
		cpuSeconds += float64(st.cpuTicks) / clockTicks
		rssBytes += st.residentPgs * int64(os.Getpagesize())
		tasks := "/proc/" + strconv.Itoa(pids[i]) + "/task/"
		threads, _ := os.ReadDir(tasks)
		for _, t := range threads {
			b, _ := os.ReadFile(tasks + t.Name() + "/children")
			for _, f := range strings.Fields(string(b)) {
				if c, err := strconv.Atoi(f); err == nil {
					pids = append(pids, c)
				}
			}
		}
	}
	return cpuSeconds, rssBytes
}

const clockTicks = 100 // USER_HZ, the same on every Linux port that Go has
