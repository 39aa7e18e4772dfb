# Segments and their flags (RFC 9293, 3.1), and numbers.

syn =
    .title = SYN (synchronize)
    .what = Opens a direction and names its initial sequence number. It takes a number like a byte.

syn-ack =
    .title = SYN+ACK
    .what = The server's answer to a SYN: it accepts, names its own initial number, and acknowledges
        the client's.

ack =
    .title = ACK (acknowledgement)
    .what = The acknowledgement number is valid. Set on every segment but the SYN that opens a connection,
        and an RST that answers a segment with an ACK. A segment with nothing else takes no number and is never acknowledged itself.

fin =
    .title = FIN (finish)
    .what = The sender has no more data. It closes one direction, takes a number like a byte, and must
        be acknowledged.

rst =
    .title = RST (reset)
    .what = Ends the connection at once, or says that there is none. It is not acknowledged and is not
        retransmitted.
    .linux = The receiver's next call fails with ECONNRESET, or ECONNREFUSED for a SYN.
    .many = `tracer --problems` names for each one who sent it and why.

psh =
    .title = PSH (push)
    .what = The receiver should hand the data to its application without waiting for more.
    .linux = Set on the last segment of each write(). Receivers hand over all data at once anyway. No
        event reports segments with data one by one, so the ladder does not draw it.

urg =
    .title = URG (urgent)
    .what = The urgent pointer is valid: some of the data should overtake the rest. RFC 6093 advises
        against it.
    .linux = One byte, read with MSG_OOB. No event reports it.

sequence-number =
    .title = Sequence number
    .what = The number of the first byte of a segment, in 32 bits, counted from the initial one. SYN and
        FIN take a number each.

acknowledgement-number =
    .title = Acknowledgement number
    .what = The next byte that the receiver expects: all before it has arrived. For a SYN alone it is
        the initial number of the peer plus one.

initial-sequence-number =
    .title = Initial sequence number (ISN)
    .what = The number of the SYN, chosen at random by each end for each connection.

window =
    .title = Window
    .what = How many bytes beyond the acknowledgement number the receiver has room for.
    .linux = The receive buffer grows up to the third value of net.ipv4.tcp_rmem = { $tcp_rmem }.
    .many = A window of 0 for long: the receiver's application does not read.
