/* otlp_receiver.h - what the OTLP receiver counts apart. */
#ifndef FL_INGEST_OTLP_RECEIVER_H
#define FL_INGEST_OTLP_RECEIVER_H

#include "codec/otlp.h"
#include "ingest/receiver.h"

/* r: of otlp_receiver_new. */
void otlp_receiver_count(const receiver *r, otlp_signal signal, receiver_counts *ret);

#endif
