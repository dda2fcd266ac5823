# Prints every committed message of the topics, from their beginning to their end, one JSON array per line: topic, partition,
# offset, key and value in base64, null for none. The client is librdkafka, which shares no code with the services.
#
# python committed-log.py BROKERS TOPIC...

import base64
import json
import sys
import time
import uuid

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition

ANSWER_S_MAX = 60
BATCH_MESSAGES_MAX = 10_000
# consume() returns only when the batch is full or this long has passed.
BATCH_WAIT_S = 0.1


def text(value):
    return None if value is None else base64.b64encode(value).decode()


brokers, *topics = sys.argv[1:]
consumer = Consumer(
    {
        "bootstrap.servers": brokers,
        "group.id": f"sluice-auditor-{uuid.uuid4()}",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,
        "enable.auto.commit": False,
        "broker.address.family": "v4",
    }
)
known = consumer.list_topics(timeout=ANSWER_S_MAX).topics
unread = {(topic, partition) for topic in topics for partition in known[topic].partitions}
consumer.assign([TopicPartition(topic, partition, OFFSET_BEGINNING) for topic, partition in unread])
answered_s = time.monotonic()
while unread:
    messages = consumer.consume(BATCH_MESSAGES_MAX, timeout=BATCH_WAIT_S)
    if messages:
        answered_s = time.monotonic()
    elif time.monotonic() - answered_s > ANSWER_S_MAX:
        sys.exit(f"Nothing was read for {ANSWER_S_MAX} s; left are {sorted(unread)}.")
    for message in messages:
        error = message.error()
        if error is None:
            place = [message.topic(), message.partition(), message.offset()]
            print(json.dumps([*place, text(message.key()), text(message.value())]))
        elif error.code() == KafkaError._PARTITION_EOF:
            unread.discard((message.topic(), message.partition()))
        else:
            raise KafkaException(error)
consumer.close()
