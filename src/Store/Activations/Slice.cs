namespace Frusta.Store.Activations;

/// <summary>One slice as readers see it: consecutive segments of the log and the index over them.</summary>
internal sealed class Slice(string path, SliceState state)
{
    private volatile SliceState _state = state;
    private volatile bool _isDropped;
    private volatile bool _isDamaged;

    public string Path => path;

    /// <summary>The state of the index at its last commit.</summary>
    public SliceState State
    {
        get => _state;
        set => _state = value;
    }

    /// <summary>True once it was dropped for its age or size: a reader that then finds no file takes the slice for empty.</summary>
    public bool IsDropped
    {
        get => _isDropped;
        set => _isDropped = value;
    }

    /// <summary>True from when a reader or the writer finds the file damaged until it is built anew.</summary>
    public bool IsDamaged
    {
        get => _isDamaged;
        set => _isDamaged = value;
    }
}
