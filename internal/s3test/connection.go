package s3test

import (
	"net"
	"net/http"
)

// resetConn makes the kernel send a reset instead of an orderly end.
func resetConn(w http.ResponseWriter, r *http.Request) {
	callOf(r).leave()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	plain := conn
	if wrapped, ok := conn.(interface{ NetConn() net.Conn }); ok {
		plain = wrapped.NetConn()
	}
	if tcp, ok := plain.(interface{ SetLinger(int) error }); ok {
		tcp.SetLinger(0)
	}
	plain.Close()
}

// closeConn ends the connection in order, wherever the answer is.
func closeConn(w http.ResponseWriter, r *http.Request) {
	callOf(r).leave()
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	conn.Close()
}
