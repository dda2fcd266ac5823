-- Writes the state of one partition, unless another owner has claimed it, or the state is not as this owner left it.
-- KEYS: 1 epoch, 2 progress, 3.. values: those written whole or removed, then those appended to
-- ARGV: 1 epoch of the owner, 2 time to live in seconds, 3 progress as the owner left it, empty for none, 4 progress,
--       5 number of values that are written whole or removed, 6 all bytes in the order of the keys, 7 lengths, 32 bits
--       each: per whole value its length, 0 removes it; per addition the length of the value after it, and its own
-- Reply: 1 written; 0 fenced, a later epoch exists; -1 Redis has lost data: no epoch, an earlier one, other progress,
--        a value of another length than expected. Values before that one are then written, and the progress is not: the
--        state is ahead of it, as after a crash, and is rebuilt
local call, sub, unpack = redis.call, string.sub, struct.unpack
local epoch = call('GET', KEYS[1])
if not epoch or tonumber(epoch) < tonumber(ARGV[1]) then
  return -1
end
if tonumber(epoch) > tonumber(ARGV[1]) then
  return 0
end
if (call('GET', KEYS[2]) or '') ~= ARGV[3] then
  return -1
end
local ttl, bytes, lengths = ARGV[2], ARGV[6], ARGV[7]
local whole = 2 + tonumber(ARGV[5])
local at, next_length = 1, 1
local length, after
for index = 3, whole do
  length, next_length = unpack('<I4', lengths, next_length)
  if length == 0 then
    -- Expires at once; this needs no right to delete.
    call('EXPIRE', KEYS[index], 0)
  else
    call('SET', KEYS[index], sub(bytes, at, at + length - 1), 'EX', ttl)
  end
  at = at + length
end
for index = whole + 1, #KEYS do
  after, length, next_length = unpack('<I4I4', lengths, next_length)
  if call('APPEND', KEYS[index], sub(bytes, at, at + length - 1)) ~= after then
    -- A value that was gone has no time to live now and would never expire.
    call('EXPIRE', KEYS[index], ttl)
    return -1
  end
  at = at + length
end
call('SET', KEYS[2], ARGV[4])
return 1
