-- Makes a rebuilt state the current one, unless another owner has claimed the partition.
-- KEYS: 1 epoch, 2 restore, 3 progress, 4 damage
-- ARGV: 1 epoch of the owner, 2 restore as the owner left it
-- Reply: 1 switched; 0 fenced, a later epoch exists; -1 Redis has lost data
local epoch = redis.call('GET', KEYS[1])
if not epoch or tonumber(epoch) < tonumber(ARGV[1]) then
  return -1
end
if tonumber(epoch) > tonumber(ARGV[1]) then
  return 0
end
if redis.call('GET', KEYS[2]) ~= ARGV[2] then
  return -1
end
redis.call('SET', KEYS[3], ARGV[2])
redis.call('SET', KEYS[2], '')
redis.call('SET', KEYS[4], '')
return 1
