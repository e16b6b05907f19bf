// Peers: what Converge is measured against, in Go as it is usually written: a relay that copies
// messages, and a relay whose agent speaks yamux over one websocket to an sshd. Only the bench runs it.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/gorilla/websocket"
	"github.com/hashicorp/yamux"
)

var upgrader = websocket.Upgrader{CheckOrigin: func(*http.Request) bool { return true }}

// stream makes a byte stream of a websocket's messages.
type stream struct {
	*websocket.Conn
	rest io.Reader
}

func (s *stream) Read(into []byte) (int, error) {
	for {
		if s.rest == nil {
			_, next, err := s.NextReader()
			if err != nil {
				return 0, io.EOF
			}
			s.rest = next
		}
		n, err := s.rest.Read(into)
		if err == io.EOF {
			s.rest = nil
			err = nil
		}
		if n > 0 || err != nil {
			return n, err
		}
	}
}

func (s *stream) Write(bytes []byte) (int, error) {
	return len(bytes), s.WriteMessage(websocket.BinaryMessage, bytes)
}

func both(one, other io.ReadWriteCloser) {
	var ends sync.WaitGroup
	ends.Add(2)
	copyAll := func(to, from io.ReadWriteCloser) {
		io.Copy(to, from)
		to.Close()
		ends.Done()
	}
	go copyAll(one, other)
	copyAll(other, one)
	ends.Wait()
}

func messages(to, from *websocket.Conn) {
	defer to.Close()
	for {
		kind, message, err := from.ReadMessage()
		if err != nil || to.WriteMessage(kind, message) != nil {
			return
		}
	}
}

// pairing joins the two websockets that come with the same path.
func pairing() http.HandlerFunc {
	var lock sync.Mutex
	waiting := map[string]*websocket.Conn{}
	return func(response http.ResponseWriter, request *http.Request) {
		link, err := upgrader.Upgrade(response, request, nil)
		if err != nil {
			return
		}
		lock.Lock()
		other := waiting[request.URL.Path]
		if other == nil {
			waiting[request.URL.Path] = link
		} else {
			delete(waiting, request.URL.Path)
		}
		lock.Unlock()
		if other != nil {
			go messages(other, link)
			messages(link, other)
		}
	}
}

// multiplexing gives each client a stream of the agent's one websocket.
func multiplexing() http.HandlerFunc {
	var agent *yamux.Session
	return func(response http.ResponseWriter, request *http.Request) {
		link, err := upgrader.Upgrade(response, request, nil)
		if err != nil {
			return
		}
		if strings.HasPrefix(request.URL.Path, "/agent/") {
			agent, _ = yamux.Client(&stream{Conn: link}, nil)
			<-agent.CloseChan()
			return
		}
		channel, err := agent.Open()
		if err != nil {
			link.Close()
			return
		}
		both(&stream{Conn: link}, channel)
	}
}

func dial(url string) *stream {
	link, _, err := websocket.DefaultDialer.Dial(url, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	return &stream{Conn: link}
}

type stdio struct{}

func (stdio) Read(into []byte) (int, error)   { return os.Stdin.Read(into) }
func (stdio) Write(bytes []byte) (int, error) { return os.Stdout.Write(bytes) }
func (stdio) Close() error                    { os.Exit(0); return nil }

func listen() net.Listener {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Printf("{\"port\":%d}\n", listener.Addr().(*net.TCPAddr).Port)
	return listener
}

// uplink leads to another port; all that its connections send shares so many bytes a second, in
// pieces, in turn: a connection stands in line again when its piece has left.
type uplink struct {
	turn           chan bool
	freeAt         time.Time
	bytesPerSecond int
}

func (u *uplink) send(to net.Conn, bytes []byte) error {
	u.turn <- true
	defer func() { <-u.turn }()
	if time.Since(u.freeAt) > time.Millisecond {
		u.freeAt = time.Now()
	}
	u.freeAt = u.freeAt.Add(time.Second * time.Duration(len(bytes)) / time.Duration(u.bytesPerSecond))
	_, err := to.Write(bytes)
	if early := time.Until(u.freeAt); early > 0 {
		// Go's own timers are late by up to a millisecond.
		wait := syscall.NsecToTimespec(int64(early))
		syscall.Nanosleep(&wait, nil)
	}
	return err
}

func (u *uplink) serve(listener net.Listener, target string) {
	for {
		from, err := listener.Accept()
		if err != nil {
			return
		}
		to, err := net.Dial("tcp", target)
		if err != nil {
			from.Close()
			continue
		}
		go func() {
			io.Copy(from, to)
			from.Close()
		}()
		go func() {
			bytes := make([]byte, 1448) // what a segment holds on a usual line
			for {
				n, err := from.Read(bytes)
				if err != nil || u.send(to, bytes[:n]) != nil {
					break
				}
			}
			to.Close()
		}()
	}
}

// sleepExactly starts this program again with timers that are not late by 50 us, as they usually may
// be; all its threads inherit that.
func sleepExactly() {
	const setTimerSlack, getTimerSlack = 29, 30
	if slack, _, _ := syscall.RawSyscall(syscall.SYS_PRCTL, getTimerSlack, 0, 0); slack == 1 {
		return
	}
	runtime.LockOSThread()
	syscall.RawSyscall(syscall.SYS_PRCTL, setTimerSlack, 1, 0)
	if err := syscall.Exec("/proc/self/exe", os.Args, os.Environ()); err != nil {
		panic(err)
	}
}

// usage: peers pairs | mux | agent URL HOST:PORT | wsproxy URL | uplink HOST:PORT BYTES-A-SECOND
func main() {
	switch os.Args[1] {
	case "pairs":
		http.Serve(listen(), pairing())
	case "mux":
		http.Serve(listen(), multiplexing())
	case "agent":
		session, _ := yamux.Server(dial(os.Args[2]), nil)
		fmt.Println("{\"ready\":true}")
		for {
			channel, err := session.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", os.Args[3])
			if err != nil {
				channel.Close()
				continue
			}
			go both(channel, server)
		}
	case "uplink":
		sleepExactly()
		bytesPerSecond, _ := strconv.Atoi(os.Args[3])
		line := &uplink{turn: make(chan bool, 1), bytesPerSecond: bytesPerSecond}
		line.serve(listen(), os.Args[2])
	case "wsproxy":
		both(dial(os.Args[2]), stdio{})
	}
}
