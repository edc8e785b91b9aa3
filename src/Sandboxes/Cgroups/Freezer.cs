namespace Frusta.Sandboxes.Cgroups;

/// <summary>Freezes the processes of one sandbox and thaws them. Both take longer the more tasks there are: some milliseconds for a thousand.</summary>
internal abstract class Freezer
{
    private readonly Lock _lock = new();

    // True once the kernel was asked to freeze: it may have frozen some tasks although it then refused.
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

    /// <summary>Moves a process into the freezer's group; processes that it starts later are in the group too.</summary>
    internal abstract void Attach(int pid);

    /// <summary>Removes the freezer's group, where it has one of its own; false while a process is in it.</summary>
    internal abstract bool TryRemove();

    /// <summary>Freezes all processes, which begins a pause. False when they are frozen already, or the sandbox is being ended.</summary>
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

    /// <summary>Thaws all processes. True when this ends a pause.</summary>
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

    /// <summary>To be called when all processes have been killed: lets them end, and refuses later freezes. True when this ends a pause.</summary>
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
                // The group is gone, and all its processes have ended.
            }

            return was;
        }
    }

    protected abstract void Set(bool frozen);
}
