package handover

import (
	"net"
	"os"
	"strings"
)

// Notify tells systemd about this process, when it was started by it as a service of Type=notify: lines such as READY=1.
func Notify(state ...string) error {
	at := os.Getenv("NOTIFY_SOCKET")
	if at == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: at, Net: "unixgram"}) // a name that begins with @ is abstract, as in systemd
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = conn.Write([]byte(strings.Join(state, "\n")))
	return err
}
