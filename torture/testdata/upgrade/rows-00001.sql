-- A few rows in every state, as release 1 left them: never edit them. {channel} stands for the channelId and
-- {NAME} for the _id that SocialHub gave the item NAME. Hashes and payloads fit items.jsonl.

INSERT INTO channels (channel_id, name, pause, pause_reason, paused_until, pause_fingerprint, lease_owner, lease_until, lease_epoch) VALUES
    ('{channel}', 'support', 'rate_limited', '429 Too Many Requests', 1700000060000, '0123456789abcdef', 'a host/17/ABCDEFGH', 1700000060000, 41),
    ('5b0000000000000000000011', 'questions', 'unauthorized', '401 Unauthorized', NULL, '0123456789abcdef', '', 0, 3);

INSERT INTO sources (channel_id, name, backfill, adapter, schedule, cursor, next_poll, last_poll, last_success, last_error, failures,
    pause, new, changed, unchanged, rejected, mended, finished, lease_owner, lease_until, lease_epoch) VALUES
    ('{channel}', 'file-0', '', 'jsonl', '@every 1s', '{"v":1,"files":{"/var/lib/items.jsonl":{"size":1072,"mtime":1700000000000000000,"inode":7}}}',
        1700000005000, 1700000000000, 1700000000000, '', 0, '', 13, 0, 0, 1, 0, NULL, 'a host/17/ABCDEFGH', 1700000060000, 99),
    ('{channel}', 'file-0', 'all..all', 'jsonl', '@every 1s', 'half of it', NULL, 1700000000000, NULL, 'read the file: no such file', 2,
        '', 0, 0, 0, 0, 0, NULL, '', 0, 2),
    ('{channel}', 'file-0', '2023-01-01T00:00:00Z..all', 'jsonl', '@every 1s', 'the end', NULL, 1700000000000, 1700000000000, '', 0,
        '', 1, 2, 3, 4, 5, 1700000000000, '', 0, 1),
    ('5b0000000000000000000011', 'questions', '', 'jsonl', '@every 1s', '', NULL, 1700000000000, NULL, 'wrong password', 1, 'wrong password',
        0, 0, 0, 0, 0, NULL, '', 0, 5);

INSERT INTO tickets (channel_id, network_item_id, source, ticket_id, wanted_hash, delivered_hash, payload, root_id, ref, state,
    priority, due, attempts, reason, changed_at, delivered_at) VALUES
    ('{channel}', 'up-synced', 'file-0', '{up-synced}', 'aD6Z4ItVlvbADEGsBlDTGUw', 'aD6Z4ItVlvbADEGsBlDTGUw', NULL, NULL, '{"thread":17}', 'synced', 0, NULL, 0, '', 1700000000000, 1700000000005),
    ('{channel}', 'up-edited', 'file-0', '{up-edited}', 'ax1u2LMbBjCXwWEebV2ztfA', 'ax1u2LMbBjCXwWEebV2ztfA', NULL, NULL, NULL, 'synced', 0, NULL, 0, '', 1700000000000, 1700000000005),
    ('{channel}', 'up-pending', 'file-0', NULL, 'ajl4Z_RWFxImUIu6L0Qqgvg', NULL, '{"interaction":{"networkItemId":"up-pending","message":"When will there be a dark mode?","url":"https://example.com/questions/3"},"updated":"2023-11-14T22:13:20.000Z","reset":true}', NULL, NULL, 'pending', 0, 1700000000000, 0, '', 1700000000000, NULL),
    ('{channel}', 'up-update', 'file-0', '{up-update}', 'aRwsHjbUgWeu6LmS7KSzoBg', 'aAAAAAAAAAAAAAAAAAAAAAA', '{"interaction":{"networkItemId":"up-update","message":"Second thoughts: it works"},"updated":"2023-11-14T22:13:20.000Z","reset":true}', NULL, NULL, 'pending', 0, 1700000000000, 0, '', 1700000000000, 1700000000005),
    ('{channel}', 'up-uncertain', 'file-0', '{up-uncertain}', 'a4z9w8NCyKfTdr2fNoNNWyw', '', '{"interaction":{"networkItemId":"up-uncertain","message":"Still no answer","link":"https://example.com/answers/5"},"updated":"2023-11-14T22:13:20.000Z","reset":true}', NULL, NULL, 'pending', 0, 1700000000000, 3, '503 Service Unavailable', 1700000000000, 1700000000005),
    ('{channel}', 'up-unlinked', 'file-0', NULL, 'aavDw-LB-9LNkGbhaUh6inw', 'aavDw-LB-9LNkGbhaUh6inw', NULL, NULL, NULL, 'unlinked', 0, NULL, 0, '409 DuplicateResource', 1700000000000, NULL),
    ('{channel}', 'up-waiting', 'file-0', NULL, 'adcYUpcxBZAUpf2J6FlzoOA', '', '{"interaction":{"networkItemId":"up-waiting","message":"Can I have two invoices?"},"updated":"2023-11-14T22:13:20.000Z","reset":true}', NULL, NULL, 'unlinked', 0, NULL, 0, '409 DuplicateResource', 1700000000000, NULL),
    ('{channel}', 'up-rejected', 'file-0', NULL, 'arqNjDe8WeL5f4mq7x8YMig', NULL, '{"interaction":{"networkItemId":"up-rejected","message":"Refused for a reason"},"updated":"2023-11-14T22:13:20.000Z","reset":true}', NULL, NULL, 'rejected', 0, NULL, 1, '400 ValidationFailure', 1700000000000, NULL),
    ('{channel}', 'at items-0.jsonl:13', 'file-0', NULL, '', NULL, NULL, NULL, NULL, 'rejected', 0, NULL, 0, 'not valid JSON at byte 2', 1700000000000, NULL),
    ('{channel}', 'up-gone', 'file-0', '5b00000000000000000000aa', 'a50jftDh64qsQGBjAzQCpBA', 'a50jftDh64qsQGBjAzQCpBA', NULL, NULL, NULL, 'gone', 0, NULL, 0, '404 NotFound', 1700000000000, 1700000000005),
    ('{channel}', 'up-own', 'file-0', NULL, 'amS4qNIJ-wwAjhDmoXIjwAA', NULL, NULL, NULL, NULL, 'skipped', 0, NULL, 0, 'our own post, and the channel has no networkId', 1700000000000, NULL),
    ('{channel}', 'up-root', 'file-0', NULL, 'ag7EKVIPYaUhu3-yyvxtw6A', NULL, '{"interaction":{"networkItemId":"up-root","message":"A thread begins"},"updated":"2023-11-14T22:13:20.000Z","reset":true}', NULL, NULL, 'pending', 0, 1700000000000, 0, '', 1700000000000, NULL),
    ('{channel}', 'up-reply', 'file-0', NULL, 'aQ9VMML4jD5be8g7E6L_i3Q', NULL, '{"interaction":{"networkItemId":"up-reply","message":"And goes on","root":{"rootId":"up-root"}},"updated":"2023-11-14T22:13:20.000Z","reset":true}', 'up-root', NULL, 'pending', 0, 1700000000000, 0, '', 1700000000000, NULL),
    ('{channel}', 'up-backfill', 'file-0', NULL, 'amxYOicux8xF3GXJEMqu_dw', NULL, '{"interaction":{"networkItemId":"up-backfill","message":"An old one","createdTime":"2019-05-06T07:08:09Z"},"updated":"2023-11-14T22:13:20.000Z","reset":true}', NULL, NULL, 'pending', 1, 1700000000000, 0, '', 1700000000000, NULL),
    ('5b0000000000000000000011', 'up-paused', 'questions', NULL, 'aAJ4hy0ooLpDqqOVt0l5xxx', NULL, '{"interaction":{"networkItemId":"up-paused","message":"Waits for a new token"},"updated":"2023-11-14T22:13:20Z","reset":true}', NULL, NULL, 'pending', 0, 1700000000000, 0, '', 1700000000000, NULL);
