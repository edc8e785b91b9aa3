namespace Frusta.Sandboxes.Cgroups;

/// <summary>Has the processes of one sandbox stand still, and go on. Both take longer the more tasks there are: some milliseconds for a thousand.</summary>
internal abstract class Freezer
{
    private readonly Lock _lock = new();

    // The kernel was asked to freeze, and may have done so in part although it then refused.
    private bool _isToBeThawed;
    private bool _paused;
    private bool _ending;

    /// <summary>True where a process that was killed while it was frozen ends only when it is thawed.</summary>
    protected abstract bool KeepsTheKilled { get; }

    internal bool IsPaused
    {
        get
        {
            lock (_lock)
            {
                return _paused;
            }
        }
    }

    /// <summary>Moves a process in; what it starts later is in as well.</summary>
    internal abstract void Attach(int pid);

    /// <summary>Removes the group, when it is one of its own; false while something is in it.</summary>
    internal abstract bool TryRemove();

    /// <summary>From now on nothing in it runs: a pause has begun. False when that was so before, or when the sandbox is being ended.</summary>
    /// <exception cref="IOException">The kernel refused.</exception>
    internal bool Freeze()
    {
        lock (_lock)
        {
            if (_paused || _ending)
            {
                return false;
            }

            _isToBeThawed = true;
            Set(frozen: true);
            _paused = true;
            return true;
        }
    }

    /// <summary>Lets it go on where it stood. True when a pause ends with that.</summary>
    /// <exception cref="IOException">The kernel refused.</exception>
    internal bool Thaw()
    {
        lock (_lock)
        {
            if (!_isToBeThawed)
            {
                return false;
            }

            Set(frozen: false);
            var was = _paused;
            (_isToBeThawed, _paused) = (false, false);
            return was;
        }
    }

    /// <summary>To be called when all in it has been killed: lets that end, and freezes nothing any more. True when a pause ends with that.</summary>
    internal bool Release()
    {
        lock (_lock)
        {
            var (was, isToBeThawed) = (_paused, _isToBeThawed);
            (_paused, _isToBeThawed, _ending) = (false, false, true);
            try
            {
                if (isToBeThawed && KeepsTheKilled)
                {
                    Set(frozen: false);
                }
            }
            catch (IOException)
            {
                // The group is gone, and what was in it.
            }

            return was;
        }
    }

    protected abstract void Set(bool frozen);
}
