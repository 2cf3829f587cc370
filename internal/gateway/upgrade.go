package gateway

import (
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"
)

// upgradeOf is the protocol that an HTTP/1.1 request asks to switch to, "" for none.
func upgradeOf(r *http.Request) string {
	up := r.Header.Get("Upgrade")
	if up == "" || r.ProtoMajor != 1 || !hasToken(strings.Join(r.Header["Connection"], ","), "upgrade") || hasToken(up, "h2c") {
		return ""
	}
	return up
}

// switched joins the client's connection and the instance's, after a 101.
func (t *turn) switched() outcome {
	x, c, h := t.x, t.c, &t.c.head
	if t.up == "" || !strings.EqualFold(h.upgrade, t.up) {
		x.failure = upgradeFailed
		return failed
	}
	x.begin()
	head := http.Header{}
	h.header(head)
	delete(head, "Content-Type")
	for _, v := range x.w.Header()["Set-Cookie"] {
		head.Add("Set-Cookie", v)
	}
	client, rw, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		x.failure = upgradeFailed
		return failed
	}
	defer client.Close()
	client = bare(client)
	client.SetDeadline(time.Time{})
	c.SetDeadline(time.Time{})
	x.code = h.code
	x.becomeStream(func() { client.Close(); c.Close() })
	b := append([]byte("HTTP/1.1 101 "), http.StatusText(h.code)...)
	b = append(b, "\r\nConnection: Upgrade\r\nUpgrade: "...)
	b = append(append(b, h.upgrade...), "\r\n"...)
	for k, vs := range head {
		for _, v := range vs {
			b = appendField(b, k, v)
		}
	}
	if _, err := client.Write(append(b, "\r\n"...)); err != nil {
		return answered
	}
	early, _ := rw.Reader.Peek(rw.Reader.Buffered())
	late, _ := c.br.Peek(c.br.Buffered())
	join(client, early, c.Conn, late)
	return answered
}

// join copies both ways until both ends have ended; the end of one direction is passed on as such.
func join(a net.Conn, fromA []byte, b net.Conn, fromB []byte) {
	var wg sync.WaitGroup
	wg.Go(func() { carry(b, fromA, a) })
	carry(a, fromB, b)
	wg.Wait()
}

// carry copies what was read ahead and then the rest, and closes the direction. A failure ends both.
func carry(dst net.Conn, first []byte, src net.Conn) {
	_, err := dst.Write(first)
	if err == nil {
		_, err = io.Copy(dst, src)
	}
	half, ok := dst.(interface{ CloseWrite() error })
	if err == nil && ok && half.CloseWrite() == nil {
		return
	}
	dst.Close()
	src.Close()
}
