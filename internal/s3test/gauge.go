package s3test

import "sync"

// gauge counts what is open at the moment. The zero value is ready for use.
type gauge struct {
	mu   sync.Mutex
	open int
	idle chan struct{} // closed when open falls to 0; nil while nobody waits
}

func (g *gauge) add(n int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.open += n
	if g.open == 0 && g.idle != nil {
		close(g.idle)
		g.idle = nil
	}
}

func (g *gauge) value() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.open
}

// wait returns when nothing is open.
func (g *gauge) wait() {
	g.mu.Lock()
	if g.open == 0 {
		g.mu.Unlock()
		return
	}
	if g.idle == nil {
		g.idle = make(chan struct{})
	}
	idle := g.idle
	g.mu.Unlock()
	<-idle
}
